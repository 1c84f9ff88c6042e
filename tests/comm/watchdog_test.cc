// Real stalls of threads as ranks, with a timeout of 0.3 s.
#include "comm/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "base/fault_file_system.h"
#include "comm/exchange.h"
#include "comm/flight_file.h"
#include "comm/local/local_communicator.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::comm {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr milliseconds kTimeout(600);

/// One rank's recorder and watchdog, as the worker makes them.
struct Watched {
  Watched(Communicator& comm, const TemporaryFolder& folder, FileSystem& files = FileSystem::Real())
      : recorder(comm.recorder()) {
    recorder.SetAttempt(1);
    comm.waiter().SetDeadline(kTimeout);
    Watchdog::Options options;
    options.folder = folder / "heartbeat";
    options.records_folder = folder / "flight/attempt-1";
    options.files = &files;
    options.on_stuck = [this](const Error& error) {
      stuck = error.what();
      is_stuck = true;
    };
    watchdog.emplace(comm, std::move(options));
  }

  FlightRecorder& recorder;
  std::optional<Watchdog> watchdog;
  std::string stuck;
  std::atomic<bool> is_stuck = false;
};

/// Without what it measured: "rank 1 on host has not entered barrier 2 ".
std::string DiagnosisOf(const std::string& message) { return message.substr(0, message.find('(')); }

/// What a world of `ranks` says in the end; `body` runs on every rank and watches it. Mostly one rank speaks and the
/// others learn of it; on a busy machine a second one may be as far, and must say the same.
template <typename Body>
std::string ErrorOf(int ranks, const Body& body, const TemporaryFolder& folder, FileSystem& files = FileSystem::Real(),
                    std::vector<int> ranks_per_host = {}) {
  std::mutex mutex;
  std::set<std::string> diagnoses;
  try {
    RunLocalWorld({.world_size = ranks, .ranks_per_host = std::move(ranks_per_host)}, [&](Communicator& comm) {
      Watched watched(comm, folder, files);
      try {
        body(comm, watched);
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        diagnoses.insert(DiagnosisOf(error.what()));
        throw;
      }
    });
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kPeer);
    EXPECT_THAT(diagnoses, ElementsAre(DiagnosisOf(error.what())));
    return error.what();
  }
  return "no error";
}

/// Until another rank ends the job; this rank's main thread does not look in between.
void HangUntilAborted(Communicator& comm) {
  try {
    for (;;) {
      comm.Poll();
      std::this_thread::sleep_for(milliseconds(5));
    }
  } catch (const PeerAborted&) {
  }
}

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
  const auto body = [](Communicator& comm, Watched& watched) {
    watched.recorder.SetWarmingUp(true);
    watched.recorder.EnterPhase(Phase::COMPILING);
    comm.Wait(*comm.Barrier(), "the start");
    if (comm.rank() == 1) {
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

TEST(WatchdogTest, AFullDiskNeitherEndsAJobNorMakesSlowRanksLookDead) {
  const TemporaryFolder folder;
  FaultFileSystem full(
      FileSystem::Real(),
      {.operation = FileOperation::kAppend, .at = 1, .fault = Fault::kFail, .and_after = true, .error_number = ENOSPC});
  RunLocalWorld({.world_size = 2}, [&](Communicator& comm) {
    Watched watched(comm, folder, full);
    if (comm.rank() == 1)
      for (int block = 0; block < 20; ++block) {
        std::this_thread::sleep_for(kTimeout / 5);
        comm.Poll();
        watched.recorder.Progress();
      }
    comm.Wait(*comm.Barrier(), "the end");
  });
}

/// A disk that answers no longer; Heal ends it.
class HangingFileSystem : public FaultFileSystem {
 public:
  HangingFileSystem() : FaultFileSystem(FileSystem::Real()) {}
  std::unique_ptr<WritableFile> Create(const std::string& path) override {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.wait(lock, [this] { return healed_; });
    --waiting_;
    changed_.notify_all();
    throw FileError(EIO, "can't create", path);
  }
  /// Returns when nobody is in Create any more.
  void Heal() {
    std::unique_lock lock(mutex_);
    healed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return waiting_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool healed_ = false;
  int waiting_ = 0;
};

TEST(WatchdogTest, ADiskThatHangsDoesNotKeepTheDiagnosisBack) {
  const TemporaryFolder folder;
  // Never destroyed: the watchdogs leave threads behind that still use it.
  HangingFileSystem& hanging = *new HangingFileSystem;
  const auto body = [](Communicator& comm, Watched&) {
    if (comm.rank() == 1) return HangUntilAborted(comm);
    comm.Wait(*comm.Barrier(), "the end of the world");
  };
  EXPECT_THAT(ErrorOf(2, body, folder, hanging),
              AllOf(HasSubstr("rank 0 on "), HasSubstr(" for the end of the world, and does not know who is stuck"),
                    HasSubstr("the disk or file server hangs")));
  hanging.Heal();
}

/// A file server on which heartbeats can be written, but not read: Heal ends that.
class UnreadableFileSystem : public FaultFileSystem {
 public:
  UnreadableFileSystem() : FaultFileSystem(FileSystem::Real()) {}
  std::unique_ptr<ReadableFile> Open(const std::string& path) override {
    hangs_ = true;
    hangs_.notify_all();
    healed_.wait(false);
    return FaultFileSystem::Open(path);
  }
  bool hangs() const { return hangs_; }
  void Heal() {
    healed_ = true;
    healed_.notify_all();
  }

 private:
  std::atomic<bool> hangs_ = false, healed_ = false;
};

TEST(WatchdogTest, AThreadThatIsLeftBehindDoesNotUseTheCommunicator) {
  const TemporaryFolder folder;
  UnreadableFileSystem& hanging = *new UnreadableFileSystem;  // never destroyed: the thread still uses it
  // The communicator of rank 0 lies in pages of its own that nobody may touch when it is gone.
  std::vector<std::unique_ptr<Communicator>> world = MakeLocalWorld({.world_size = 2});
  const size_t bytes = AlignUp(sizeof(Communicator), kBufferAlignment);
  void* const pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  struct Kept : Transport {
    explicit Kept(Communicator& comm) : comm(comm) {}
    const Topology& topology() const override { return comm.topology(); }
    std::unique_ptr<Pending> Barrier() override { return comm.Barrier(); }
    std::unique_ptr<Pending> Broadcast(std::span<std::byte> b, int root) override { return comm.Broadcast(b, root); }
    std::unique_ptr<Pending> AllGather(std::span<const std::byte> mine, std::span<std::byte> all) override {
      return comm.AllGather(mine, all);
    }
    std::unique_ptr<Pending> Send(std::span<const std::byte> b, int to, int tag) override {
      return comm.Send(b, to, tag);
    }
    std::unique_ptr<Pending> Receive(std::span<std::byte> b, int from, int tag) override {
      return comm.Receive(b, from, tag);
    }
    std::vector<std::unique_ptr<SharedMemory>> ShareWithinHost(size_t b, const WaitUntil&) override {
      return comm.ShareWithinHost(b);
    }
    void Poll() override { comm.Poll(); }
    void KeepUntilExit(std::shared_ptr<void> memory) override { comm.KeepUntilExit(std::move(memory)); }
    void Abort(int code) override { comm.Abort(code); }
    void Exit(int code) override { comm.Exit(code); }
    Communicator& comm;
  };
  auto* const comm = new (pages) Communicator(std::make_unique<Kept>(*world[0]));
  {
    const Watched watched(*comm, folder, hanging);
    comm->WaitUntil([&] { return hanging.hangs(); }, "a thread that hangs");
  }
  std::destroy_at(comm);
  ASSERT_EQ(mprotect(pages, bytes, PROT_NONE), 0);
  hanging.Heal();
  std::this_thread::sleep_for(milliseconds(500));
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
