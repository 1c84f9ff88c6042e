// Signals that ask a supervisor to stop, and the ends of its children, as something to wait for.
#pragma once

#include <poll.h>

#include <chrono>

namespace lockstep::launch {

/// One at a time: it changes what signals do in the whole process. Not thread-safe.
class StopRequests {
 public:
  StopRequests();
  ~StopRequests();
  StopRequests(const StopRequests&) = delete;
  StopRequests& operator=(const StopRequests&) = delete;

  /// Waits for a signal, a child's end, or for something to read from `fd` (-1: nothing), at most `limit`. Returns the
  /// signal that asked to stop, 0 otherwise.
  int Wait(std::chrono::milliseconds limit, int fd = -1);

  bool asked() const { return asked_; }
  /// A second SIGINT has come: end at once.
  bool interrupted() const { return interrupted_; }

 private:
  int Note(int number);

  int fd_ = -1;
  bool asked_ = false, interrupted_ = false;
  bool got_interrupt_ = false;
  std::chrono::steady_clock::time_point first_interrupt_;
};

}  // namespace lockstep::launch
