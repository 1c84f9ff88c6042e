// Locks whose discipline clang checks: GUARDED_BY says which mutex a member needs, REQUIRES which one a function's
// caller holds, and clang's -Wthread-safety refuses code that does otherwise (tests/borders/check_threads.py). Other
// compilers see std::mutex and std::condition_variable under other names.
//
// What is not checked: constructors and destructors (nobody else has the object then), and lambdas, which are functions
// of their own: waiting is a loop, `while (!ready_) changed_.Wait(mutex_)`, instead of a predicate.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#ifdef __clang__
#define LOCKSTEP_ATTRIBUTE(...) __attribute__((__VA_ARGS__))
#else
#define LOCKSTEP_ATTRIBUTE(...)
#endif

/// A member that is read and written only while `mutex` is held.
#define GUARDED_BY(mutex) LOCKSTEP_ATTRIBUTE(guarded_by(mutex))
/// A function whose caller holds the mutexes.
#define REQUIRES(...) LOCKSTEP_ATTRIBUTE(exclusive_locks_required(__VA_ARGS__))
/// A function whose caller must not hold the mutexes: it takes them itself.
#define EXCLUDES(...) LOCKSTEP_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace lockstep {

class LOCKSTEP_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() LOCKSTEP_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void Unlock() LOCKSTEP_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Holds a mutex as long as it lives, save between Unlock and Lock. For one thread.
class LOCKSTEP_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LOCKSTEP_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) { mutex.Lock(); }
  ~MutexLock() LOCKSTEP_ATTRIBUTE(release_capability()) {
    if (held_) mutex_.Unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  /// REQUIRES: it holds the mutex.
  void Unlock() LOCKSTEP_ATTRIBUTE(release_capability()) {
    mutex_.Unlock();
    held_ = false;
  }
  /// REQUIRES: Unlock came before.
  void Lock() LOCKSTEP_ATTRIBUTE(acquire_capability()) {
    mutex_.Lock();
    held_ = true;
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

/// What threads wait for until another has changed something under the same mutex. It may wake for no reason, so that
/// waiting is a loop.
class CondVar {
 public:
  void NotifyOne() { changed_.notify_one(); }
  void NotifyAll() { changed_.notify_all(); }

  void Wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    changed_.wait(lock);
    lock.release();
  }
  /// False where `time` has come.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point time) REQUIRES(mutex) {
    std::unique_lock lock(mutex.mutex_, std::adopt_lock);
    const bool woken = changed_.wait_until(lock, time) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }

 private:
  std::condition_variable changed_;
};

}  // namespace lockstep
