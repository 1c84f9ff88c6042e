// What happens in a simulated step, in the order of time.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <tuple>
#include <vector>

namespace lockstep::launch {

struct Event {
  enum class Kind : uint8_t {
    kAct,      ///< a rank looks what is to be done
    kHop,      ///< a message comes to a link
    kArrived,  ///< a message has come to the end of its path
  };
  double time;    ///< seconds from the step's begin
  int64_t order;  ///< of those at one time: the one that was pushed first comes first
  Kind kind;
  int index;  ///< of a rank or a message

  bool operator>(const Event& other) const { return std::tie(time, order) > std::tie(other.time, other.order); }
};

class EventQueue {
 public:
  bool empty() const { return events_.empty(); }
  void Push(double time, Event::Kind kind, int index) { events_.push({time, ++order_, kind, index}); }
  /// REQUIRES: not empty.
  Event Pop() {
    const Event event = events_.top();
    events_.pop();
    return event;
  }

 private:
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  int64_t order_ = 0;
};

}  // namespace lockstep::launch
