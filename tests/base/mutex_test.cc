// Locks, without what clang checks of them (tests/borders/check_threads.py).
#include "base/mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace lockstep {
namespace {

/// What several threads add to, in turns that they give each other.
struct Shared {
  Mutex mutex;
  CondVar changed;
  int turn GUARDED_BY(mutex) = 0;
  int sum GUARDED_BY(mutex) = 0;
};

TEST(MutexTest, ThreadsTakeTurns) {
  constexpr int kThreads = 3, kTurns = 300;
  Shared shared;
  const auto work = [&shared](int own) {
    MutexLock lock(shared.mutex);
    for (int i = own; i < kTurns; i += kThreads) {
      while (shared.turn != i) shared.changed.Wait(shared.mutex);
      shared.sum += i;
      ++shared.turn;
      shared.changed.NotifyAll();
    }
  };
  std::thread first(work, 0), second(work, 1);
  work(2);
  first.join();
  second.join();
  const MutexLock lock(shared.mutex);
  EXPECT_EQ(shared.sum, kTurns * (kTurns - 1) / 2);
}

TEST(MutexTest, AWaitEndsWhenItsTimeHasCome) {
  Shared shared;
  const MutexLock lock(shared.mutex);
  EXPECT_FALSE(shared.changed.WaitUntil(shared.mutex, std::chrono::steady_clock::now() - std::chrono::seconds(1)));
}

TEST(MutexTest, ALockThatWasGivenUpIsNotGivenUpAgain) {
  Shared shared;
  {
    MutexLock lock(shared.mutex);
    lock.Unlock();
    shared.mutex.Lock();  // would hang, were it still held
    shared.mutex.Unlock();
    lock.Lock();
    ++shared.sum;
    lock.Unlock();
  }
  const MutexLock lock(shared.mutex);
  EXPECT_EQ(shared.sum, 1);
}

}  // namespace
}  // namespace lockstep
