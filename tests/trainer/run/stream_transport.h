// A transport that, like NCCL, returns at once and moves everything on the stream, between emulated devices of threads
// as ranks. With it a missing event is a wrong result: the host waits for nothing.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "comm/device/device_transport.h"

namespace lockstep::run {

/// What is on its way between the ranks of a job; theirs together. Thread-safe.
class StreamMail {
 public:
  void Send(int from, int to, std::vector<std::byte> bytes);
  /// Waits for the next message of `from`. Throws Error(kPeer) where there is none and `to` has aborted.
  std::vector<std::byte> Receive(int from, int to);
  /// Ends what `rank` waits for; others wait on, as NCCL's do.
  void Abort(int rank);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> mail_;  // guarded by mutex_, as is the next
  std::set<int> aborted_;
};

/// For streams of emulated devices.
std::unique_ptr<comm::DeviceTransport> MakeStreamTransport(std::shared_ptr<StreamMail> mail, int rank);

}  // namespace lockstep::run
