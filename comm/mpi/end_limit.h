// A limit to what waits without one.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace lockstep::comm {

/// Calls `overdue`, on a thread of its own, unless it is destroyed within `limit`.
class EndLimit {
 public:
  EndLimit(std::chrono::milliseconds limit, std::function<void()> overdue);
  ~EndLimit();
  EndLimit(const EndLimit&) = delete;
  EndLimit& operator=(const EndLimit&) = delete;

 private:
  Mutex mutex_;
  CondVar changed_;
  bool ended_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lockstep::comm
