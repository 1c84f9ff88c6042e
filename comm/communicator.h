// The only interface to other ranks that users hold: a transport (transport.h) with a way to wait for it (waiter.h) and
// a record of what it does.
//
// Threading: one thread per rank makes all calls. Every rank makes the same collective calls in the same order.
//
// Records: every collective is numbered, alike on all ranks, and noted by recorder().
//
// Failure: Abort tells all ranks that this one ends and with which exit code. The others learn of it inside any wait
// (or Poll), which then throws PeerAborted. A wait past the deadline throws Error(kPeer).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/flight_recorder.h"
#include "comm/topology.h"
#include "comm/transport.h"
#include "comm/waiter.h"

namespace lockstep::comm {

class Communicator {
 public:
  explicit Communicator(std::unique_ptr<Transport> transport);

  const Topology& topology() const { return transport_->topology(); }
  int rank() const { return topology().rank; }
  int world_size() const { return topology().world_size; }

  // As the transport's of these names (transport.h), with their records.

  std::unique_ptr<Pending> Barrier();
  std::unique_ptr<Pending> Broadcast(std::span<std::byte> bytes, int root);
  std::unique_ptr<Pending> AllGather(std::span<const std::byte> mine, std::span<std::byte> all);
  std::unique_ptr<Pending> Send(std::span<const std::byte> bytes, int to, int tag) {
    sent_bytes_ += bytes.size();
    return transport_->Send(bytes, to, tag);
  }
  std::unique_ptr<Pending> Receive(std::span<std::byte> bytes, int from, int tag) {
    return transport_->Receive(bytes, from, tag);
  }
  /// Waits.
  std::vector<std::unique_ptr<SharedMemory>> ShareWithinHost(size_t bytes);
  void KeepUntilExit(std::shared_ptr<void> memory) { transport_->KeepUntilExit(std::move(memory)); }
  void Abort(int exit_code) { transport_->Abort(exit_code); }
  void Exit(int exit_code) { transport_->Exit(exit_code); }

  // Waits, which may throw as Waiter::WaitUntil.

  void Wait(Pending& pending, const std::string& what);
  void WaitUntil(const std::function<bool()>& done, const std::string& what) { waiter_.WaitUntil(done, what); }
  void Poll() { waiter_.Poll(); }

  /// Of all messages that Send has taken.
  uint64_t sent_bytes() const { return sent_bytes_; }

  /// How it waits: deadline, crowding, interrupts.
  Waiter& waiter() { return waiter_; }
  FlightRecorder& recorder() { return waiter_.recorder(); }

 private:
  std::unique_ptr<Transport> transport_;
  Waiter waiter_;
  uint64_t sent_bytes_ = 0;
};

// Conveniences that wait. `bytes` may differ in length between ranks.

std::vector<std::string> GatherStrings(Communicator& comm, const std::string& mine, const std::string& what);
/// The same on `root` alone; nothing elsewhere. For what is too large to be everywhere.
std::vector<std::string> GatherStringsAt(Communicator& comm, const std::string& mine, int root,
                                         const std::string& what);
std::string BroadcastString(Communicator& comm, const std::string& bytes, int root, const std::string& what);

}  // namespace lockstep::comm
