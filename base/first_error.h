// The first error of several threads: each catches what it throws, and who waits for them throws it again.
#pragma once

#include <exception>

#include "base/mutex.h"

namespace lockstep {

/// Thread-safe.
class FirstError {
 public:
  /// To be called where an exception was caught: keeps it, unless another thread was first.
  void Keep() {
    MutexLock lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
  /// Throws what was kept, if anything was.
  void Rethrow() {
    MutexLock lock(mutex_);
    if (error_) std::rethrow_exception(error_);
  }

 private:
  Mutex mutex_;
  std::exception_ptr error_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
