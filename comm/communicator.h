// The only interface to other ranks: small collectives that return a Pending, memory shared by the ranks of a node, and
// point-to-point messages for the exchange. One implementation per folder: mpi/ (real jobs), local/ (threads as ranks,
// for tests, and the one-rank job).
//
// Threading: one thread per rank makes all calls (so MPI_THREAD_FUNNELED is enough). No call blocks inside the
// transport: every wait is `Wait(pending)`, a test loop with backoff, deadline and abort flag. Every rank makes the
// same collective calls in the same order.
//
// Records: with a FlightRecorder, every collective is numbered and noted (SetRecorder), and with a hook (SetStalled) a
// wait past its deadline ends with what the watchdog makes of it.
//
// Failure: Abort tells all ranks, on a channel of its own, that this one ends and with which exit code. The others
// learn of it inside any Wait (or Poll), which then throws PeerAborted. A wait past the deadline throws Error(kPeer).
#pragma once

#include <atomic>
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

class FlightRecorder;

/// An operation under way. `Done` makes progress and says whether it has completed; a destroyed Pending must be done.
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
  std::vector<int> host_of;               ///< [world_size], hosts numbered in rank order
  std::vector<std::vector<int>> hosts;    ///< ranks of each host, ascending
  std::vector<std::string> host_name_of;  ///< [world_size], host names

  int host() const { return host_of[static_cast<size_t>(rank)]; }
  int local_rank() const { return rank - hosts[static_cast<size_t>(host())].front(); }
  int local_size() const { return static_cast<int>(hosts[static_cast<size_t>(host())].size()); }
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

  std::unique_ptr<Pending> Barrier();
  std::unique_ptr<Pending> Broadcast(std::span<std::byte> bytes, int root);
  /// `mine` of every rank, in rank order, into `all`: all.size() == world_size * mine.size().
  std::unique_ptr<Pending> AllGather(std::span<const std::byte> mine, std::span<std::byte> all);

  // Point to point. Messages of one (source, tag) arrive in the order they were sent; lengths agree. 0 <= tag < 2^20.

  virtual std::unique_ptr<Pending> Send(std::span<const std::byte> bytes, int to, int tag) = 0;
  virtual std::unique_ptr<Pending> Receive(std::span<std::byte> bytes, int from, int tag) = 0;

  /// Collective over the ranks of a node: each asks for `bytes` (may be 0, may differ), zeroed; returns the segments of
  /// all local ranks, by local rank, mapped at kBufferAlignment. Blocks (with deadline). Throws Error(kUsage) where
  /// /dev/shm is too small.
  std::vector<std::unique_ptr<SharedMemory>> ShareWithinHost(size_t bytes);

  /// Tells the others that this rank ends with `exit_code`. Best effort, does not block for longer than a moment, may
  /// be called from the communicating thread only, and must be followed by ending the process (Exit).
  virtual void Abort(int exit_code) = 0;
  /// Ends this rank's part in the job so that its launcher returns `exit_code`, after Abort or after PeerAborted was
  /// caught (then with its code). Under MPI it does not return; elsewhere it does, and the caller returns the code
  /// itself.
  virtual void Exit(int exit_code) = 0;
  /// Throws PeerAborted when another rank has aborted. Cheap; called inside every wait, and wherever a rank computes
  /// long without one.
  void Poll();

  /// Waits until `done()` (or the Pending is done), giving way to computing threads where cores are few.
  /// `what` is named when the deadline passes: "the exchange of bucket 3 of step 120".
  void WaitUntil(const std::function<bool()>& done, const std::string& what);
  void Wait(Pending& pending, const std::string& what);
  /// The longest that any wait lasts. Default: 10 minutes. Any thread.
  void SetDeadline(std::chrono::milliseconds deadline) { deadline_ms_ = deadline.count(); }
  std::chrono::milliseconds deadline() const { return std::chrono::milliseconds(deadline_ms_); }
  /// Whether this node's threads that compute are more than its cores: then waits hardly spin. Default: false.
  void SetCrowded(bool crowded) { crowded_ = crowded; }
  /// Whether threads of this rank compute now: its waiting thread then leaves them its core, and looks at the transport
  /// a thousand times a second. May be called from any thread; false wakes the waiting thread.
  void SetComputing(bool computing);
  /// Polled inside every wait too: throws to end it (stop signals, the watchdog).
  void SetInterrupt(std::function<void()> interrupt) { interrupt_ = std::move(interrupt); }

  /// Where collectives and long waits are recorded; may be null. Outlives the communicator, or is taken away in time.
  void SetRecorder(FlightRecorder* recorder) { recorder_ = recorder; }
  FlightRecorder* recorder() const { return recorder_; }
  /// Asked again and again by a wait for `what` that has passed its deadline: whether to go on waiting; or it throws.
  /// With false the wait throws its own Error.
  void SetStalled(std::function<bool(const std::string& what)> stalled) { stalled_ = std::move(stalled); }

  // For the watchdog, from any thread.

  /// When the communicating thread last polled.
  std::chrono::steady_clock::time_point last_look() const { return TimeOf(last_look_ns_); }
  /// Since when it has been in the same wait; nothing where it is in none, or not for longer than a moment.
  bool waiting_since(std::chrono::steady_clock::time_point* since) const {
    *since = TimeOf(waiting_since_ns_);
    return since->time_since_epoch().count() != 0;
  }

 protected:
  // What the public functions of these names do, without the records.
  virtual std::unique_ptr<Pending> DoBarrier() = 0;
  virtual std::unique_ptr<Pending> DoBroadcast(std::span<std::byte> bytes, int root) = 0;
  virtual std::unique_ptr<Pending> DoAllGather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  virtual std::vector<std::unique_ptr<SharedMemory>> DoShareWithinHost(size_t bytes) = 0;
  virtual void DoPoll() = 0;

 private:
  static std::chrono::steady_clock::time_point TimeOf(const std::atomic<int64_t>& nanoseconds) {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(nanoseconds.load(std::memory_order_relaxed)));
  }
  /// Waits for the end of computing, but not for long; returns at once where nothing computes.
  bool SleepWhileComputing();
  void NoteWait(const std::string& what, std::chrono::steady_clock::time_point since);
  void EndWait();

  std::atomic<int64_t> deadline_ms_{600'000};
  std::atomic<int64_t> last_look_ns_{0}, waiting_since_ns_{0};
  FlightRecorder* recorder_ = nullptr;
  std::function<bool(const std::string& what)> stalled_;
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
