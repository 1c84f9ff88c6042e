// The only interface to other ranks: small collectives that return a Pending, memory shared by the ranks of a node, and
// point-to-point messages for the exchange. One implementation per folder: mpi/ (real jobs), local/ (threads as ranks,
// for tests, and the one-rank job).
//
// Threading: one thread per rank makes all calls (so MPI_THREAD_FUNNELED is enough). No call blocks inside the
// transport: every wait is `Wait(pending)`, a test loop with backoff, deadline and abort flag. Every rank makes the
// same collective calls in the same order.
//
// Failure: Abort tells all ranks, on a channel of its own, that this one ends and with which exit code. The others
// learn of it inside any Wait (or Poll), which then throws PeerAborted. A wait past the deadline throws Error(kPeer).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace lockstep::comm {

/// An operation under way. `Done` makes progress and says whether it has completed; a destroyed Pending must be done.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual bool Done() = 0;
};

/// Another rank has ended with an error that it has reported itself: end quietly with the same exit code.
class PeerAborted : public std::exception {
 public:
  PeerAborted(int rank, int exit_code);
  int rank() const { return rank_; }
  int exit_code() const { return exit_code_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  int rank_, exit_code_;
  std::string text_;
};

/// Where the ranks are. Ranks are numbered by (host, local rank): a host's ranks are contiguous, however the launcher
/// numbered them.
struct Topology {
  int rank = 0;
  int world_size = 1;
  std::vector<int> node_of;             ///< [world_size], nodes numbered in rank order
  std::vector<std::vector<int>> nodes;  ///< ranks of each node, ascending
  std::vector<std::string> host_of;     ///< [world_size], host names

  int node() const { return node_of[static_cast<size_t>(rank)]; }
  int local_rank() const { return rank - nodes[static_cast<size_t>(node())].front(); }
  int local_size() const { return static_cast<int>(nodes[static_cast<size_t>(node())].size()); }
};

/// Memory that all ranks of a node see: `data` is this rank's mapping of the segment that `owner` (a rank of this node)
/// asked for. Unlinked already; it lives while mapped.
class SharedMemory {
 public:
  virtual ~SharedMemory() = default;
  virtual std::span<std::byte> data() const = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual const Topology& topology() const = 0;
  int rank() const { return topology().rank; }
  int world_size() const { return topology().world_size; }

  // Collectives over small byte strings. Spans stay alive until the Pending is done.

  virtual std::unique_ptr<Pending> Barrier() = 0;
  virtual std::unique_ptr<Pending> Broadcast(std::span<std::byte> bytes, int root) = 0;
  /// `mine` of every rank, in rank order, into `all`: all.size() == world_size * mine.size().
  virtual std::unique_ptr<Pending> AllGather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;

  // Point to point. Messages of one (source, tag) arrive in the order they were sent; lengths agree. 0 <= tag < 2^20.

  virtual std::unique_ptr<Pending> Send(std::span<const std::byte> bytes, int to, int tag) = 0;
  virtual std::unique_ptr<Pending> Receive(std::span<std::byte> bytes, int from, int tag) = 0;

  /// Collective over the ranks of a node: each asks for `bytes` (may be 0, may differ), zeroed; returns the segments of
  /// all local ranks, by local rank, mapped at kBufferAlignment. Blocks (with deadline). Throws Error(kUsage) where
  /// /dev/shm is too small.
  virtual std::vector<std::unique_ptr<SharedMemory>> ShareWithinNode(size_t bytes) = 0;

  /// Tells the others that this rank ends with `exit_code`. Best effort, does not block for longer than a moment, may
  /// be called from the communicating thread only, and must be followed by ending the process (Exit).
  virtual void Abort(int exit_code) = 0;
  /// Ends this rank's part in the job so that its launcher returns `exit_code`, after Abort or after PeerAborted was
  /// caught (then with its code). Under MPI it does not return; elsewhere it does, and the caller returns the code
  /// itself.
  virtual void Exit(int exit_code) = 0;
  /// Throws PeerAborted when another rank has aborted. Cheap; called inside every wait, and wherever a rank computes
  /// long without one.
  virtual void Poll() = 0;

  /// Waits until `done()` (or the Pending is done), giving way to computing threads where cores are few.
  /// `what` is named when the deadline passes: "the exchange of bucket 3 of step 120".
  void WaitUntil(const std::function<bool()>& done, const std::string& what);
  void Wait(Pending& pending, const std::string& what) {
    WaitUntil([&] { return pending.Done(); }, what);
  }
  /// The longest that any wait lasts. Default: 10 minutes.
  void SetDeadline(std::chrono::seconds deadline) { deadline_ = deadline; }
  /// Whether this node's threads that compute are more than its cores: then waits hardly spin. Default: false.
  void SetCrowded(bool crowded) { crowded_ = crowded; }
  /// Whether threads of this rank compute now: its waiting thread then leaves them its core, and looks at the transport
  /// a thousand times a second. May be called from any thread; false wakes the waiting thread.
  void SetComputing(bool computing);
  /// Polled inside every wait too: throws to end it (stop signals, the watchdog).
  void SetInterrupt(std::function<void()> interrupt) { interrupt_ = std::move(interrupt); }

 private:
  /// Waits for the end of computing, but not for long; returns at once where nothing computes.
  bool SleepWhileComputing();

  std::chrono::seconds deadline_{600};
  bool crowded_ = false;
  std::mutex computing_mutex_;
  std::condition_variable computing_ended_;
  bool computing_ = false;  // guarded by computing_mutex_
  std::function<void()> interrupt_;
};

// Conveniences that wait. `bytes` may differ in length between ranks.

std::vector<std::string> GatherStrings(Communicator& comm, const std::string& mine, const std::string& what);
std::string BroadcastString(Communicator& comm, const std::string& bytes, int root, const std::string& what);

}  // namespace lockstep::comm
