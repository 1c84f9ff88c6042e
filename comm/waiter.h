// How a rank waits for others: one loop with backoff, deadline, interrupts and records, whatever it waits for. Each
// setting has one owner, who is named beside it.
//
// Threading: the thread that communicates waits and changes settings, where nothing else is said.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "comm/flight_recorder.h"
#include "comm/transport.h"

namespace lockstep::comm {

class Interrupt;

class Waiter {
 public:
  /// `transport` outlives the waiter.
  explicit Waiter(Transport& transport);
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Waits until `done()`, giving way to computing threads where cores are few. `what` is named when the deadline
  /// passes: "the exchange of bucket 3 of step 120". Throws PeerAborted where another rank has aborted, what an
  /// Interrupt throws, and Error(kPeer) past the deadline.
  void WaitUntil(const std::function<bool()>& done, const std::string& what);
  /// Throws PeerAborted when another rank has aborted. Cheap; called inside every wait, and wherever a rank computes
  /// long without one.
  void Poll();

  /// What this rank does, and the numbers of its collectives.
  FlightRecorder& recorder() { return recorder_; }

  /// The longest that any wait lasts. Default: 10 minutes. Set by the start of an attempt, from the recipe; any thread.
  void SetDeadline(std::chrono::milliseconds deadline) { deadline_ms_ = deadline.count(); }
  std::chrono::milliseconds deadline() const { return std::chrono::milliseconds(deadline_ms_); }
  /// Whether this host's threads that compute are more than its cores: then waits hardly spin. Default: true, which is
  /// safe as long as nobody knows. Set by whoever deals cores to threads, and by nobody else.
  void SetCrowded(bool crowded) { crowded_ = crowded; }
  /// Whether threads of this rank compute now: its waiting thread then leaves them its core, and looks at the transport
  /// a thousand times a second. Set by the pool of executors; any thread; false wakes the waiting thread.
  void SetComputing(bool computing);
  /// Asked again and again by a wait for `what` that has passed its deadline: whether to go on waiting; or it throws.
  /// With false the wait throws its own Error. Set and taken away (null) by the watchdog. REQUIRES: one watchdog.
  void SetStalled(std::function<bool(const std::string& what)> stalled);

  // For the watchdog, from any thread.

  /// When the communicating thread last polled.
  std::chrono::steady_clock::time_point last_look() const { return TimeOf(last_look_ns_); }
  /// Since when it has been in the same wait; nothing where it is in none, or not for longer than a moment.
  bool waiting_since(std::chrono::steady_clock::time_point* since) const {
    *since = TimeOf(waiting_since_ns_);
    return since->time_since_epoch().count() != 0;
  }

 private:
  friend class Interrupt;
  class NotedWait;

  static std::chrono::steady_clock::time_point TimeOf(const std::atomic<int64_t>& nanoseconds) {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(nanoseconds.load(std::memory_order_relaxed)));
  }
  /// Waits for the end of computing, but not for long; returns at once where nothing computes.
  bool SleepWhileComputing();
  /// Throws where a wait for `what`, past its deadline after `waited`, is to end.
  void AskStalled(const std::string& what, std::chrono::steady_clock::duration waited) const;

  Transport& transport_;
  FlightRecorder recorder_;
  std::atomic<int64_t> deadline_ms_{600'000};
  std::atomic<int64_t> last_look_ns_{0}, waiting_since_ns_{0};
  bool crowded_ = true;
  std::function<bool(const std::string& what)> stalled_;
  std::vector<const Interrupt*> interrupts_;
  Mutex computing_mutex_;
  CondVar computing_ended_;
  bool computing_ GUARDED_BY(computing_mutex_) = false;
};

/// A function that every wait calls in each of its turns for as long as this lives: it throws to end the wait (a stop
/// signal, an executor that has failed). There may be several. The waiter outlives it.
class Interrupt {
 public:
  Interrupt(Waiter& waiter, std::function<void()> poll);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

 private:
  friend class Waiter;
  Waiter& waiter_;
  const std::function<void()> poll_;
};

}  // namespace lockstep::comm
