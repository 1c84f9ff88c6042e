// How bytes travel between ranks: what an implementation of a world of ranks provides. mpi/ is that of real jobs,
// local/ has threads as ranks, for tests, and is that of a job of one rank. Users hold a Communicator (communicator.h),
// which adds waiting and records.
//
// No call waits for another rank: each starts something and returns a Pending that is asked again and again. Whoever
// waits does so by a Waiter (waiter.h), with its deadline.
//
// Threading: one thread per rank makes all calls (so MPI_THREAD_FUNNELED is enough). Every rank makes the same
// collective calls in the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/topology.h"

namespace lockstep::comm {

/// Tags of messages lie in [0, kTags).
inline constexpr int kTags = 1 << 20;

/// An operation under way. `Done` makes progress and says whether it has completed. One may be destroyed before it is
/// done where an error ends the rank: see Transport::KeepUntilExit.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual bool Done() = 0;

 private:
  friend class Communicator;
  uint64_t collective_ = 0;  ///< the recorder's number of the collective that ends with this; 0: none
};

/// Another rank has ended with an error that it has reported itself: end quietly with the same exit code.
class PeerAborted : public std::exception {
 public:
  PeerAborted(int rank, int exit_code)
      : rank_(rank),
        exit_code_(exit_code),
        text_("rank " + std::to_string(rank) + " has ended with exit code " + std::to_string(exit_code)) {}
  int rank() const { return rank_; }
  int exit_code() const { return exit_code_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  int rank_, exit_code_;
  std::string text_;
};

/// Memory that all ranks of a host see: `data` is this rank's mapping of a segment that one of them asked for. Unlinked
/// already; it lives while mapped.
class SharedMemory {
 public:
  virtual ~SharedMemory() = default;
  virtual std::span<std::byte> data() const = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  virtual const Topology& topology() const = 0;

  // Collectives over small byte strings. Spans stay alive until the Pending is done, or is destroyed.

  virtual std::unique_ptr<Pending> Barrier() = 0;
  virtual std::unique_ptr<Pending> Broadcast(std::span<std::byte> bytes, int root) = 0;
  /// `mine` of every rank, in rank order, into `all`: all.size() == world_size * mine.size().
  virtual std::unique_ptr<Pending> AllGather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;

  // Point to point. Messages of one (source, tag) arrive in the order they were sent; lengths agree. Spans stay alive
  // until the Pending is done; see KeepUntilExit.

  virtual std::unique_ptr<Pending> Send(std::span<const std::byte> bytes, int to, int tag) = 0;
  virtual std::unique_ptr<Pending> Receive(std::span<std::byte> bytes, int from, int tag) = 0;

  /// Returns when `done()`, or throws.
  using WaitUntil = std::function<void(const std::function<bool()>& done)>;
  /// Collective over the ranks of a host: each asks for `bytes` (may be 0, may differ), zeroed; returns the segments of
  /// all local ranks, by local rank, mapped at kBufferAlignment. Waits by `wait_until` alone. Throws Error(kUsage)
  /// where /dev/shm is too small.
  virtual std::vector<std::unique_ptr<SharedMemory>> ShareWithinHost(size_t bytes, const WaitUntil& wait_until) = 0;

  /// Throws PeerAborted when another rank has aborted. Cheap.
  virtual void Poll() = 0;

  /// Takes memory that was given to Send or Receive whose Pendings were destroyed before they were done, and keeps it
  /// for as long as the transport may still read or write there: a library that can't take a message back does so
  /// whenever it makes progress, which it does in Abort and Exit too.
  virtual void KeepUntilExit(std::shared_ptr<void> memory) = 0;

  /// Tells the others, on a channel of its own, that this rank ends with `exit_code`: their Poll throws. Best effort,
  /// does not block for longer than a moment, and must be followed by Exit.
  virtual void Abort(int exit_code) = 0;
  /// Ends this rank's part in the job so that its launcher returns `exit_code`, after Abort or after PeerAborted was
  /// caught (then with its code). Under MPI it does not return; elsewhere it does, and the caller returns the code
  /// itself.
  virtual void Exit(int exit_code) = 0;
};

}  // namespace lockstep::comm
