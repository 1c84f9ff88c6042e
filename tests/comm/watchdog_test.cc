// Real stalls of threads as ranks.
#include "comm/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "comm/exchange.h"
#include "comm/flight_file.h"
#include "comm/local/local_communicator.h"
#include "tests/base/temporary_folder.h"
#include "tests/comm/watched_world.h"

namespace lockstep::comm {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

TEST(WatchdogTest, NamesTheRankThatDoesNotComeToACollective) {
  const TemporaryFolder folder;
  const auto body = [](Communicator& comm, Watched& watched) {
    comm.Wait(*comm.Barrier(), "the start");
    watched.recorder.EnterPhase(Phase::SAVING_CHECKPOINT, 310);
    if (comm.rank() == 1) return HangUntilAborted(comm);
    comm.Wait(*comm.Barrier(), "the end");
  };
  EXPECT_THAT(ErrorOf(3, body, folder),
              AllOf(HasSubstr("rank 1 on"), HasSubstr("is stuck saving checkpoint in step 310 (no progress for 0."),
                    HasSubstr("ranks 0, 2 wait in barrier 2 of step 310"), HasSubstr("flight/attempt-1")));
}

TEST(WatchdogTest, NamesARankThatNoLongerBeats) {
  const TemporaryFolder folder;
  const auto body = [](Communicator& comm, Watched& watched) {
    comm.Wait(*comm.Barrier(), "the start");
    watched.recorder.EnterPhase(Phase::LOADING_BATCH, 310);
    if (comm.rank() == 0) {
      watched.watchdog.reset();  // what SIGSTOP does to it
      return HangUntilAborted(comm);
    }
    comm.Wait(*comm.Barrier(), "the end");
  };
  EXPECT_THAT(ErrorOf(3, body, folder),
              AllOf(HasSubstr("rank 0 on"), HasSubstr("has not entered barrier 2 of step 310 (last seen: "),
                    HasSubstr("ranks 1-2 wait there")));
}

TEST(WatchdogTest, NamesTheRankWhenTheTimeoutHasJustBecomeShort) {
  const TemporaryFolder folder;
  const auto body = [&](Communicator& comm, Watched& watched) {
    // As at the start of a job: all have beaten once, and would beat again in five seconds.
    comm.waiter().SetDeadline(std::chrono::minutes(10));
    watched.watchdog.reset();
    Watchdog::Options options;
    options.folder = folder / "heartbeat";
    watched.watchdog.emplace(comm, options);
    for (int rank = 0; rank < comm.world_size(); ++rank)
      comm.WaitUntil([&] { return FileSystem::Real().Exists(fmt::format("{}/rank-{}.pb", options.folder, rank)); },
                     "heartbeats");
    comm.Wait(*comm.Barrier(), "the start");
    comm.waiter().SetDeadline(std::chrono::seconds(1));
    watched.recorder.EnterPhase(Phase::LOADING_BATCH, 1);
    if (comm.rank() == 0) {
      watched.watchdog.reset();
      return HangUntilAborted(comm);
    }
    comm.Wait(*comm.Barrier(), "the end");
  };
  EXPECT_THAT(ErrorOf(3, body, folder), AllOf(HasSubstr("rank 0 on"), HasSubstr("ranks 1-2 wait there")));
}

TEST(WatchdogTest, NamesTheRankWhoseLanesHangThoughItsMainThreadWaitsInTheExchange) {
  const TemporaryFolder folder;
  const auto body = [](Communicator& comm, Watched& watched) {
    const int rank = comm.rank();
    Exchange exchange(comm, {3, {{{0, 1}}, {{1, 2}}, {{2, 3}}}, CutBuckets(3 * 4096, 4096)});
    watched.recorder.EnterPhase(Phase::COMPUTING, 310);
    exchange.Begin(310);
    watched.recorder.EnterExecutorPhase(0, Phase::LOADING_BATCH);
    if (rank != 2) {
      watched.recorder.EnterExecutorPhase(0, Phase::COMPUTING);
      for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) exchange.PieceReady(0, bucket);
      watched.recorder.LeaveExecutorPhase(0);
    }
    exchange.Reduce([](int, ElementRange, const SliceSum&) {}, true);
    exchange.Share();
  };
  EXPECT_THAT(ErrorOf(3, body, folder, FileSystem::Real(), {2, 1}),
              AllOf(StartsWith("rank 2 on host1 is stuck loading batch in step 310 (no progress for 0."),
                    HasSubstr("; ranks 0-1 wait in exchange")));
}

TEST(WatchdogTest, WaitsForAsLongAsSomebodyGetsOn) {
  const TemporaryFolder folder;
  RunLocalWorld({.world_size = 3}, [&](Communicator& comm) {
    Watched watched(comm, folder);
    if (comm.rank() == 1) {  // a long evaluation, block by block, that polls
      for (int block = 0; block < 30; ++block) {
        std::this_thread::sleep_for(kTimeout / 10);
        watched.recorder.Progress();
        comm.Poll();
      }
    }
    comm.Wait(*comm.Barrier(), "the end");
  });
}

TEST(WatchdogTest, ARankThatWarmsUpHasTime) {
  const TemporaryFolder folder;
  const auto body = [](Communicator& comm, Watched& watched) {
    watched.recorder.SetWarmingUp(true);
    watched.recorder.EnterPhase(Phase::COMPILING);
    comm.Wait(*comm.Barrier(), "the start");
    if (comm.rank() == 1) std::this_thread::sleep_for(3 * kTimeout);
    comm.Wait(*comm.Barrier(), "the end");
  };
  EXPECT_EQ(ErrorOf(3, body, folder), "no error");
}

TEST(WatchdogTest, NamesARankThatFallsSilentWhileItWarmsUp) {
  const TemporaryFolder folder;
  const auto body = [&](Communicator& comm, Watched& watched) {
    watched.recorder.SetWarmingUp(true);
    watched.recorder.EnterPhase(Phase::COMPILING);
    comm.Wait(*comm.Barrier(), "the start");
    if (comm.rank() == 1) {
      const std::string heartbeat = folder / "heartbeat/" + RankFileName(1);
      while (!FileSystem::Real().Exists(heartbeat)) std::this_thread::yield();
      watched.watchdog.reset();
      return HangUntilAborted(comm);
    }
    comm.Wait(*comm.Barrier(), "the end");
  };
  EXPECT_THAT(ErrorOf(3, body, folder),
              AllOf(HasSubstr("rank 1 on"), HasSubstr("has not entered barrier 2 (last seen: ")));
}

TEST(WatchdogTest, NamesARankThatWasNeverSeen) {
  const TemporaryFolder folder;
  try {
    RunLocalWorld({.world_size = 2}, [&](Communicator& comm) {
      if (comm.rank() == 1) return HangUntilAborted(comm);
      Watched watched(comm, folder);
      comm.Wait(*comm.Barrier(), "the start");
    });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(),
                AllOf(HasSubstr("rank 1 on "), HasSubstr("was never seen; rank 0 waits in barrier 1")));
  }
}

TEST(WatchdogTest, HeartbeatsOfAnEarlierAttemptDoNotCount) {
  const TemporaryFolder folder;
  FileSystem::Real().CreateFolders(folder / "heartbeat");
  Heartbeat old;
  old.set_rank(1);
  old.set_world_size(2);
  old.set_attempt(7);
  ReplaceFile(FileSystem::Real(), folder / "heartbeat/rank-1.pb", Encode(old));
  try {
    RunLocalWorld({.world_size = 2}, [&](Communicator& comm) {
      if (comm.rank() == 1) return HangUntilAborted(comm);
      Watched watched(comm, folder);
      comm.Wait(*comm.Barrier(), "the start");
    });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("was never seen"));
  }
}

TEST(WatchdogTest, ARankWhoseMainThreadHangsEndsItselfWhenNobodyElseDoes) {
  const TemporaryFolder folder;
  RunLocalWorld({.world_size = 1}, [&](Communicator& comm) {
    Watched watched(comm, folder);
    watched.recorder.EnterPhase(Phase::LOADING_CHECKPOINT);
    const auto start = std::chrono::steady_clock::now();
    while (!watched.is_stuck) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_GE(std::chrono::steady_clock::now() - start, kTimeout + std::chrono::seconds(1));
    EXPECT_THAT(watched.stuck,
                MatchesRegex("rank 0 on .* is stuck loading checkpoint: its main thread has given no sign of "
                             "life for 1.[0-9] s .*"));
    EXPECT_THAT(watched.watchdog->diagnosis()->culprits, ElementsAre(0));
  });
}

TEST(WatchdogTest, BeatsWhileNothingIsWrong) {
  const TemporaryFolder folder;
  RunLocalWorld({.world_size = 1}, [&](Communicator& comm) {
    Watched watched(comm, folder);
    watched.recorder.EnterPhase(Phase::EVALUATING, 5);
    comm.WaitUntil(
        [&] {
          watched.recorder.Progress();
          const std::string path = folder / "heartbeat/rank-0.pb";
          if (!FileSystem::Real().Exists(path)) return false;
          const Heartbeat heartbeat = DecodeHeartbeat(ReadWholeFile(FileSystem::Real(), path), path);
          return heartbeat.beat() > 3 && heartbeat.status().phase() == Phase::EVALUATING;
        },
        "heartbeats");
  });
  EXPECT_THAT(FileSystem::Real().List(folder / "heartbeat"), ElementsAre("rank-0.pb"));
}

TEST(WatchdogTest, TheIntervalBetweenHeartbeatsFollowsTheTimeout) {
  EXPECT_EQ(Watchdog::Period(std::chrono::seconds(60)), milliseconds(5000));
  EXPECT_EQ(Watchdog::Period(std::chrono::seconds(10)), milliseconds(1000));
  EXPECT_EQ(Watchdog::Period(std::chrono::seconds(600)), milliseconds(5000));
}

}  // namespace
}  // namespace lockstep::comm
