// What a rank is doing now, and the last 1,000 things that it did: what the watchdog tells others by, and what is
// written down when a job ends badly.
//
// Thread-safe. Recording an event takes a lock and copies a hundred bytes; it allocates nothing. Progress is an atomic
// counter, for any thread and any place: whatever a rank does that could take longer than the watchdog's timeout bumps
// it now and then.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "comm/flight.pb.h"

namespace lockstep::comm {

/// "loading batch", "saving checkpoint"; "an unknown phase" for numbers from a newer program.
std::string_view Name(Phase::Value phase);
/// "exchange", "all-gather".
std::string_view Name(CollectiveKind::Value kind);

class FlightRecorder {
 public:
  static constexpr size_t kEvents = 1000;
  static constexpr size_t kTextBytes = 48;  ///< texts of events and waits are cut off here
  static constexpr int kExecutors = 256;    ///< further ones are not recorded

  FlightRecorder(int rank, int world_size, std::string host);

  int rank() const { return rank_; }
  int world_size() const { return world_size_; }
  const std::string& host() const { return host_; }
  void SetAttempt(uint32_t attempt) { attempt_ = attempt; }
  uint32_t attempt() const { return attempt_; }

  /// What the rank's main thread does from now on; `step` < 0: none.
  void EnterPhase(Phase::Value phase, int64_t step = -1);
  /// What an executor does from now on. Where executors are at work, the rank's phase is that of the one that has been
  /// in its phase for longest.
  void EnterExecutorPhase(int executor, Phase::Value phase);
  void LeaveExecutorPhase(int executor);

  // Collectives, on the communicating thread, in the common order of all ranks. One that begins ends the one before.

  /// Begins a collective to which this rank can't give its part yet; returns its number. `step` < 0: the phase's.
  uint64_t BeginCollective(CollectiveKind::Value kind, uint64_t bytes, std::string_view text, int64_t step = -1);
  /// This rank's part of it is given. Any thread.
  void EnterCollective(uint64_t number);
  /// Both at once.
  uint64_t EnterCollective(CollectiveKind::Value kind, uint64_t bytes, std::string_view text, int64_t step = -1);
  void LeaveCollective(uint64_t number);

  /// The communicating thread has been waiting for `what` since `since`; an empty `what`: no longer.
  void SetWaiting(std::string_view what, std::chrono::steady_clock::time_point since);

  /// From the start to the end of the first step, when big files, compilers and first touches of memory take long.
  void SetWarmingUp(bool warming_up) { warming_up_ = warming_up; }
  bool warming_up() const { return warming_up_; }

  void Note(std::string_view text);
  void Progress() { Progress(Now()); }

  Status status() const;
  /// By itself, for whoever only needs to know whether anything goes on.
  std::chrono::steady_clock::time_point last_progress() const {
    return std::chrono::steady_clock::time_point(
        std::chrono::nanoseconds(progress_ns_.load(std::memory_order_relaxed)));
  }
  /// All that is known, with rank, host and events. `ending`: why it is asked for.
  FlightRecord Record(const std::string& ending) const;

 private:
  struct Text {
    std::array<char, kTextBytes> bytes;
    uint8_t size = 0;
    void Set(std::string_view text);
    std::string_view view() const { return {bytes.data(), size}; }
  };
  struct Slot {
    int64_t time_ns;
    int64_t step;
    uint64_t collective, bytes;
    Event::Type type;
    Phase::Value phase;
    CollectiveKind::Value kind;
    int executor;
    bool idle;
    Text text;
  };
  struct Activity {
    Phase::Value phase = Phase::START_UP;
    int64_t since_ns = 0;
    bool active = false;
  };
  struct Collective {
    uint64_t number = 0;
    CollectiveKind::Value kind = CollectiveKind::NONE;
    CollectiveState::Value state = CollectiveState::LEFT;
    uint64_t bytes = 0;
    int64_t step = -1;
    int64_t since_ns = 0;
  };

  static int64_t Now();
  void Progress(int64_t now) {
    progress_.fetch_add(1, std::memory_order_relaxed);
    progress_ns_.store(now, std::memory_order_relaxed);
  }
  Slot& Append(Event::Type type, int64_t now) REQUIRES(mutex_);
  void AppendCollective(Event::Type type, int64_t now, std::string_view text) REQUIRES(mutex_);
  Status StatusAt(int64_t now) const REQUIRES(mutex_);

  const int rank_, world_size_;
  const std::string host_;
  std::atomic<uint32_t> attempt_{0};
  std::atomic<bool> warming_up_{false};
  std::atomic<uint64_t> progress_{0};
  std::atomic<int64_t> progress_ns_;

  mutable Mutex mutex_;
  std::vector<Slot> ring_ GUARDED_BY(mutex_);
  uint64_t events_ GUARDED_BY(mutex_) = 0;  ///< so far; the next one's place is events_ % kEvents
  Activity phase_ GUARDED_BY(mutex_);
  int64_t step_ GUARDED_BY(mutex_) = -1;
  std::array<Activity, kExecutors> executors_ GUARDED_BY(mutex_);
  int used_executors_ GUARDED_BY(mutex_) = 0;  ///< one more than the largest number seen
  Collective collective_ GUARDED_BY(mutex_);
  Text waiting_for_ GUARDED_BY(mutex_);
  int64_t waiting_since_ns_ GUARDED_BY(mutex_) = 0;
};

}  // namespace lockstep::comm
