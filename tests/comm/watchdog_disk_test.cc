// The watchdog where heartbeats' disk is full, or answers no longer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "base/files/fault_file_system.h"
#include "comm/local/local_communicator.h"
#include "comm/watchdog.h"
#include "tests/base/temporary_folder.h"
#include "tests/comm/watched_world.h"

namespace lockstep::comm {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;

TEST(WatchdogDiskTest, AFullDiskNeitherEndsAJobNorMakesSlowRanksLookDead) {
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

TEST(WatchdogDiskTest, ADiskThatHangsDoesNotKeepTheDiagnosisBack) {
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

TEST(WatchdogDiskTest, ADiskThatHangsDoesNotEndARankThatIsAloneAndGetsOn) {
  const TemporaryFolder folder;
  HangingFileSystem& hanging = *new HangingFileSystem;  // never destroyed, as above
  RunLocalWorld({.world_size = 1}, [&](Communicator& comm) {
    Watched watched(comm, folder, hanging);
    const auto end = std::chrono::steady_clock::now() + 5 * kTimeout;
    comm.WaitUntil(
        [&] {
          watched.recorder.Progress();
          return std::chrono::steady_clock::now() > end;
        },
        "a long evaluation");
    EXPECT_FALSE(watched.is_stuck);
  });
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

TEST(WatchdogDiskTest, AThreadThatIsLeftBehindDoesNotUseTheCommunicator) {
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

}  // namespace
}  // namespace lockstep::comm
