// What a thread of a rank did, and when: the events of a profile, written one behind the other into memory that was
// taken before the first of them.
//
// An EventLog is one thread's. Nothing of it is asked for where nothing is profiled: whoever records is handed a
// pointer, null then.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace lockstep::profile {

/// What an event is. `number` of the event says which.
enum class What : uint8_t {
  // Of an executor.
  kLane,      ///< all of one lane
  kSamples,   ///< of that, waiting for its batch
  kInputs,    ///< copying it in, and where its shape is new, making a program ready for it
  kForward,   ///< ops up to the losses
  kBackward,  ///< the others, with folds between them
  kOp,        ///< number: of the op in its program
  kFold,      ///< adding a bucket's gradient to the rank's sum; number: bucket
  // Of the communicating thread.
  kStep,        ///< all of one step on this rank
  kPrepare,     ///< packed copies of weights
  kReduce,      ///< gradients of all ranks: waiting for them, relaying them, and with kUpdate inside
  kUpdate,      ///< summing what the rank owns, and new weights of it; number: bucket, -1: all of them
  kAwaitLanes,  ///< waiting for this rank's own lanes
  kNorm,        ///< the global norm
  kShare,       ///< waiting for the others' new weights
  kControl,     ///< what ranks tell each other of the step
  kEvaluate,    ///< evaluations
  kCheckpoint,  ///< what training waits for where a checkpoint begins
  kCertify,     ///< comparing and hashing weights
};
inline constexpr int kWhats = static_cast<int>(What::kCertify) + 1;

/// As profiles spell it: "op", "global norm".
std::string_view Name(What what);
std::optional<What> WhatOf(std::string_view name);

struct Event {
  int64_t begin_ns = 0, end_ns = 0;  ///< of this host's steady clock
  uint64_t step = 0;                 ///< 0-based
  int32_t number = -1;
  int32_t lane = -1;    ///< of all ranks; -1: none
  int32_t program = 0;  ///< of an op: the shape of its program
  What what = What::kStep;
};

class EventLog {
 public:
  /// Takes the memory of `capacity` events, and touches it.
  explicit EventLog(size_t capacity) : events_(capacity) {}

  static int64_t Now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  /// What the next events belong to.
  void Enter(uint64_t step, int lane = -1, int program = 0) {
    next_.step = step;
    next_.lane = lane;
    next_.program = program;
  }
  void Add(What what, int number, int64_t begin_ns, int64_t end_ns) {
    if (count_ >= events_.size()) {
      ++dropped_;
      return;
    }
    Event& event = events_[count_++];
    event = next_;
    event.what = what;
    event.number = number;
    event.begin_ns = begin_ns;
    event.end_ns = end_ns;
  }
  /// An event from `begin_ns` until now; returns now.
  int64_t Lap(What what, int number, int64_t begin_ns) {
    const int64_t now = Now();
    Add(what, number, begin_ns, now);
    return now;
  }

  /// In the order of their ends.
  std::span<const Event> events() const { return {events_.data(), count_}; }
  uint64_t dropped() const { return dropped_; }  ///< there was no more room for them

 private:
  std::vector<Event> events_;
  size_t count_ = 0;
  uint64_t dropped_ = 0;
  Event next_;
};

/// An event that lasts as long as this does; nothing where `log` is null.
class EventScope {
 public:
  EventScope(EventLog* log, What what, int number = -1)
      : log_(log), what_(what), number_(number), begin_ns_(log == nullptr ? 0 : EventLog::Now()) {}
  ~EventScope() {
    if (log_ != nullptr) log_->Lap(what_, number_, begin_ns_);
  }
  EventScope(const EventScope&) = delete;
  EventScope& operator=(const EventScope&) = delete;

 private:
  EventLog* log_;
  What what_;
  int number_;
  int64_t begin_ns_;
};

/// Where the events of a rank go.
struct Recording {
  EventLog communicating;
  std::vector<EventLog> executors;
};

}  // namespace lockstep::profile
