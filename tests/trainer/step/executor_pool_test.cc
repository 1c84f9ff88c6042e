#include "trainer/step/executor_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include "base/error.h"

namespace lockstep::step {
namespace {

TEST(ExecutorPool, RunsTheWorkOnceOnEachOfItsThreads) {
  ExecutorPool pool({4, 1, {}});
  ASSERT_EQ(pool.size(), 4);
  std::vector<std::thread::id> first(4), second(4);
  std::vector<int> runs(4);
  pool.Run([&](int e) {
    first[static_cast<size_t>(e)] = std::this_thread::get_id();
    ++runs[static_cast<size_t>(e)];
  });
  pool.Run([&](int e) { second[static_cast<size_t>(e)] = std::this_thread::get_id(); });
  EXPECT_EQ(runs, (std::vector<int>{1, 1, 1, 1}));
  EXPECT_EQ(first, second);  // kernels are prepared on the thread that runs them
  std::sort(first.begin(), first.end());
  EXPECT_EQ(std::unique(first.begin(), first.end()), first.end());
}

TEST(ExecutorPool, IsFinishedWhenAllAre) {
  ExecutorPool pool({3, 1, {}});
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  std::atomic<int> others{0};
  pool.Start([&](int e) {
    if (e == 1)
      open.wait();
    else
      ++others;
  });
  while (others < 2) std::this_thread::yield();
  EXPECT_FALSE(pool.Finished());
  gate.set_value();
  pool.Wait();
  EXPECT_TRUE(pool.Finished());
}

TEST(ExecutorPool, IsIdleBehindAScopeThatAnErrorLeaves) {
  ExecutorPool pool({2, 1, {}});
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  std::atomic<int> ended{0};
  std::thread opener;
  try {
    const IdleBehind idle(pool);
    pool.Start([&](int e) {
      open.wait();
      ++ended;
      if (e == 0) throw Error(ErrorKind::kData, "another error");
    });
    opener = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      gate.set_value();
    });
    throw Error(ErrorKind::kPeer, "a peer is dead");
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "a peer is dead");
    EXPECT_EQ(ended, 2);
  }
  opener.join();
}

TEST(ExecutorPool, ThrowsTheErrorOfTheFirstExecutorThatFailed) {
  ExecutorPool pool({3, 1, {}});
  std::promise<void> gate;
  std::shared_future<void> last_has_failed = gate.get_future().share();
  const auto message = [&](const std::function<void()>& wait) -> std::string {
    try {
      wait();
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  };
  EXPECT_EQ(message([&] {
              pool.Run([&](int e) {
                if (e == 2) {
                  gate.set_value();
                  throw Error(ErrorKind::kData, "the third");
                }
                last_has_failed.wait();
                if (e == 1) throw Error(ErrorKind::kData, "the second");
              });
            }),
            "the second");
  EXPECT_EQ(message([&] { pool.Finished(); }), "the second");

  // An error ends a piece of work, not the pool.
  std::atomic<int> runs{0};
  pool.Run([&](int) { ++runs; });
  EXPECT_EQ(runs, 3);
  EXPECT_TRUE(pool.Finished());
}

TEST(ExecutorPool, AnErrorIsSeenWhileOthersStillRun) {
  ExecutorPool pool({2, 1, {}});
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  pool.Start([&](int e) {
    if (e == 1) throw Error(ErrorKind::kData, "torn");
    open.wait();
  });
  while (pool.error() == nullptr) std::this_thread::yield();
  EXPECT_FALSE(pool.Finished());
  gate.set_value();
  EXPECT_THROW(pool.Wait(), Error);
}

TEST(ExecutorPool, RefusesWorkWhileItIsBusy) {
  ExecutorPool pool({1, 1, {}});
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  pool.Start([open](int) { open.wait(); });
  EXPECT_THROW(pool.Start([](int) {}), Error);
  gate.set_value();
  pool.Wait();
}

TEST(ExecutorPool, MakesWhatItsWorkWroteVisible) {
  ExecutorPool pool({4, 1, {}});
  std::vector<int64_t> counts(4 * 64);
  for (int round = 1; round <= 500; ++round) {
    pool.Run([&](int e) {
      // The neighbour's number, written in the round before by another thread.
      counts[static_cast<size_t>((e * 64) + round % 2)] =
          counts[static_cast<size_t>((e + 1) % 4 * 64 + (round + 1) % 2)] + 1;
    });
    for (int e = 0; e < 4; ++e) ASSERT_EQ(counts[static_cast<size_t>(e * 64 + round % 2)], round);
  }
}

struct Range {
  int64_t begin, end;
  std::thread::id thread;
};

std::vector<Range> RangesOf(ExecutorPool& pool, int64_t count, int64_t grain) {
  std::mutex mutex;
  std::vector<Range> ranges;
  pool.ParallelFor(count, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.push_back({begin, end, std::this_thread::get_id()});
  });
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  return ranges;
}

TEST(ParallelFor, CoversEveryElementOnceInMultiplesOfTheGrain) {
  for (int executors : {1, 2, 3, 7}) {
    ExecutorPool pool({executors, 1, {}});
    for (int64_t grain : {1, 4, 4096})
      for (int64_t count : {int64_t{1}, grain, 4 * grain, 4 * grain + 1, 5 * grain - 1, 7 * grain, 100 * grain + 3}) {
        SCOPED_TRACE(testing::Message() << count << " in grains of " << grain << " by " << executors);
        int64_t next = 0;
        for (const Range& range : RangesOf(pool, count, grain)) {
          EXPECT_EQ(range.begin, next);
          EXPECT_EQ(range.begin % grain, 0);
          EXPECT_LT(range.begin, range.end);
          next = range.end;
        }
        EXPECT_EQ(next, count);
      }
  }
}

TEST(ParallelFor, GivesEachExecutorAPartOfALargeRange) {
  ExecutorPool pool({3, 1, {}});
  const std::vector<Range> ranges = RangesOf(pool, 30000, 10);
  ASSERT_EQ(ranges.size(), 3u);
  for (const Range& range : ranges) {
    EXPECT_EQ(range.end - range.begin, 10000);
    EXPECT_NE(range.thread, std::this_thread::get_id());
  }
}

TEST(ParallelFor, StaysOnTheCallingThreadWhileExecutorsAreBusy) {
  ExecutorPool pool({2, 1, {}});
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  pool.Start([open](int) { open.wait(); });
  const std::vector<Range> ranges = RangesOf(pool, 1000, 1);
  gate.set_value();
  pool.Wait();
  ASSERT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges[0].end, 1000);
  EXPECT_EQ(ranges[0].thread, std::this_thread::get_id());
}

// Address space is what a test can be short of even where it runs as root: each thread needs some for its stack.
TEST(ExecutorPool, ThreadsThatCantBeMadeAreAnErrorThatNamesLimits) {
  const auto starved = [] {
    std::ifstream statm("/proc/self/statm");
    rlim_t pages = 0;
    statm >> pages;
    const rlim_t limit = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{100} << 20);
    const rlimit address_space = {limit, limit};
    setrlimit(RLIMIT_AS, &address_space);
    try {
      ExecutorPool::Options many;
      many.executors = 2000;
      ExecutorPool pool(many);
      std::_Exit(1);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      std::_Exit(error.kind() == ErrorKind::kMemory ? 42 : 2);
    } catch (...) {
      std::_Exit(3);
    }
  };
  EXPECT_EXIT(starved(), testing::ExitedWithCode(42), "can't start the thread \"executor-[0-9]+\".*ulimit -u");
}

}  // namespace
}  // namespace lockstep::step
