#include "trainer/records/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <fstream>
#include <functional>
#include <utility>

#include "base/files/fault_file_system.h"
#include "base/log.h"
#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::records {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Renews often; nobody who is alive lapses within a test.
LeaseOptions Lively() {
  LeaseOptions options;
  options.period = milliseconds(5);
  options.lapse = seconds(60);
  options.look = milliseconds(1);
  return options;
}

/// Neither renews by itself nor lapses within a test.
LeaseOptions Resting() {
  LeaseOptions options = Lively();
  options.period = seconds(60);
  return options;
}

/// Lapses soon, and does not renew by itself. On a busy machine its own lease may have lapsed before the next line.
LeaseOptions Sleepy() {
  LeaseOptions options;
  options.period = seconds(60);
  options.lapse = milliseconds(50);
  options.look = milliseconds(1);
  return options;
}

template <typename Condition>
void WaitFor(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(milliseconds(1));
}

class LeaseTest : public ::testing::Test {
 protected:
  std::unique_ptr<Lease> Acquire(LeaseOptions options, FileSystem& files = FileSystem::Real()) {
    return Lease::Acquire(files, folder_.path(), std::move(options), [] {});
  }
  LeaseRecord Written() { return ParseLease(ReadWholeFile(files_, path_), path_); }
  std::vector<std::string> Files() { return files_.List(folder_.path()); }
  /// A lease as another host's process left it.
  void Leave(LeaseRecord record) { std::ofstream(path_) << FormatLease(record); }
  LeaseRecord OfAnotherHost() {
    LeaseRecord record;
    record.holder = LeaseHolder::Self();
    record.holder.host = "elsewhere";
    record.holder.attempt = 4;
    record.sequence = 17;
    record.period_seconds = 0.001;
    return record;
  }

  FileSystem& files_ = FileSystem::Real();
  TemporaryFolder folder_;
  const std::string path_ = folder_ / kLeaseName;
};

TEST_F(LeaseTest, AFreeFolderIsTakenAndLeftClean) {
  const auto lease = Acquire(Lively());
  EXPECT_THAT(Files(), ElementsAre(kLeaseName));
  EXPECT_EQ(Written().holder.pid, getpid());
  EXPECT_TRUE(lease->Holds());
  EXPECT_NO_THROW(lease->CheckHeld());
  lease->Release();
  EXPECT_THAT(Files(), IsEmpty());
  lease->Release();
}

TEST_F(LeaseTest, RenewalsCountUpAndSayWhereTheRunStands) {
  const auto lease = Acquire(Lively());
  lease->SetAttempt(3);
  lease->NoteStep(120);
  const uint64_t before = Written().sequence;
  WaitFor([&] { return Written().step == 120; });
  EXPECT_EQ(Written().holder.attempt, 3u);
  EXPECT_GT(Written().sequence, before);
}

TEST_F(LeaseTest, ALivingHolderKeepsOthersOut) {
  LeaseOptions first = Lively();
  first.self.slurm_job = "77";
  const auto lease = Acquire(first);
  lease->SetAttempt(2);
  lease->NoteStep(300);
  WaitFor([&] { return Written().step == 300; });
  const Error error = ErrorOf([&] { Acquire(Lively()); });
  EXPECT_EQ(error.kind(), ErrorKind::kFolderHeld);
  EXPECT_THAT(error.message(), HasSubstr("another job is running in this folder: attempt 2 (host " + first.self.host));
  EXPECT_THAT(error.message(), HasSubstr("Slurm job 77"));
  EXPECT_THAT(error.message(), HasSubstr("step 300"));
  EXPECT_THAT(error.hint(), HasSubstr("--out"));
  EXPECT_NO_THROW(lease->CheckHeld());
}

TEST_F(LeaseTest, ALeaseThatIsNotRenewedLapses) {
  Leave(OfAnotherHost());
  const auto begin = std::chrono::steady_clock::now();
  const auto lease = Acquire(Sleepy());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, Sleepy().lapse);
  EXPECT_EQ(Written().holder.pid, getpid());
  EXPECT_THAT(Files(), ElementsAre(kLeaseName));
}

TEST_F(LeaseTest, WaitingEndsWhenThePollThrows) {
  Leave(OfAnotherHost());
  const LeaseOptions options = Resting();
  int polls = 0;
  const auto poll = [&] {
    if (++polls == 3) throw Error(ErrorKind::kPreempted, "stop");
  };
  EXPECT_EQ(ErrorOf([&] { Lease::Acquire(files_, folder_.path(), options, poll); }).kind(), ErrorKind::kPreempted);
  EXPECT_THAT(Files(), ElementsAre(kLeaseName));
}

TEST_F(LeaseTest, AHolderThatReleasesIsFollowedAtOnce) {
  const auto lease = Acquire(Resting());
  int polls = 0;
  const auto poll = [&] {
    if (++polls == 3) lease->Release();
  };
  const LeaseOptions second = Lively();
  const auto next = Lease::Acquire(files_, folder_.path(), second, poll);
  EXPECT_EQ(Written().holder.id, second.self.id);
  EXPECT_GE(polls, 3);
}

TEST_F(LeaseTest, ADeadProcessIsFollowedAtOnce) {
  const pid_t child = fork();
  if (child == 0) {
    LeaseRecord record = OfAnotherHost();
    record.holder = LeaseHolder::Self();
    Leave(record);
    _exit(0);
  }
  // A zombie is dead too.
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(ProvablyDead(Written().holder));
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(ProvablyDead(Written().holder));
  LeaseOptions options = Lively();
  const auto lease = Acquire(options);
  EXPECT_EQ(Written().holder.id, options.self.id);
}

TEST_F(LeaseTest, WhoWasSupersededMayNotCommit) {
  LeaseOptions first = Sleepy(), second = Sleepy();
  first.self.attempt = 2;
  second.self.attempt = 3;
  second.self.host = first.self.host;
  first.period = milliseconds(1);
  // Its disk takes no renewals.
  FaultFileSystem stuck(files_,
                        {.operation = FileOperation::kCreate, .at = 2, .fault = Fault::kFail, .and_after = true});
  const auto lease = Acquire(first, stuck);
  const auto next = Acquire(second);
  const Error error = ErrorOf([&] { lease->CheckHeld(); });
  EXPECT_EQ(error.exit_code(), 2) << "a supervisor must not start it again";
  EXPECT_THAT(error.message(), HasSubstr("this attempt (2) was superseded by attempt 3"));
  EXPECT_TRUE(lease->Superseded());
  EXPECT_FALSE(lease->Holds());
  EXPECT_THROW(lease->CheckHeld(), Error) << "for good";
  lease->Release();
  EXPECT_EQ(Written().holder.id, second.self.id) << "it does not remove its successor's lease";
  EXPECT_FALSE(next->Superseded());
}

TEST_F(LeaseTest, TheRenewalSeesASuccessorByItself) {
  const auto lease = Acquire(Lively());
  LeaseRecord other = OfAnotherHost();
  std::ofstream(folder_ / "other") << FormatLease(other);
  // A renewal may be between its look and its rename: then it wins, and the other has to come again.
  while (!lease->Superseded()) {
    std::ofstream(folder_ / "other") << FormatLease(other);
    files_.Rename(folder_ / "other", path_);
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_THROW(lease->CheckHeld(), Error);
}

TEST_F(LeaseTest, AFullDiskLosesTheLeaseUntilThereIsRoom) {
  LeaseOptions options = Lively();
  options.lapse = milliseconds(50);
  // Taking it is one create; every renewal is another.
  FaultFileSystem files(files_, {.operation = FileOperation::kCreate,
                                 .at = 2,
                                 .fault = Fault::kFail,
                                 .and_after = true,
                                 .error_number = ENOSPC,
                                 .path_part = kLeaseName});
  const auto lease = Acquire(options, files);
  WaitFor([&] { return !lease->Holds() && lease->failed_renewals() > 0; });
  EXPECT_FALSE(lease->Superseded());
  const Error error = ErrorOf([&] { lease->CheckHeld(); });
  EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint) << "only this commit fails";
  EXPECT_THAT(error.message(), HasSubstr("No space left on device"));
}

TEST_F(LeaseTest, AFailureNowAndThenIsNoLoss) {
  for (FileOperation operation :
       {FileOperation::kCreate, FileOperation::kAppend, FileOperation::kClose, FileOperation::kRename}) {
    SCOPED_TRACE(Name(operation));
    FaultFileSystem files(files_, {.operation = operation, .at = 2, .fault = Fault::kFail, .path_part = kLeaseName});
    {
      const auto lease = Acquire(Lively(), files);
      WaitFor([&] { return lease->failed_renewals() > 0; });
      const uint64_t before = Written().sequence;
      WaitFor([&] { return Written().sequence > before + 1; });
      EXPECT_TRUE(lease->Holds());
      EXPECT_NO_THROW(lease->CheckHeld());
    }
    EXPECT_THAT(Files(), IsEmpty());
  }
}

TEST_F(LeaseTest, ALookThatFailsAnywhereIsAnErrorOrNoLoss) {
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    Leave(OfAnotherHost());
    FaultFileSystem files(
        files_, {.operation = FileOperation::kAnyRead, .at = at, .fault = Fault::kFail, .error_number = ESTALE});
    const LeaseOptions options = Sleepy();
    try {
      const auto lease = Acquire(options, files);
      EXPECT_EQ(Written().holder.id, options.self.id);
      EXPECT_NO_THROW(lease->CheckHeld());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kStorage) << error.what();
    }
    if (files.count() < at) break;
    ASSERT_LT(at, 1000);  // it looks as often as the time of its wait allows
    files_.RemoveAll(path_);
  }
}

TEST_F(LeaseTest, AFolderThatCantBeWrittenIsSaidAtOnce) {
  FaultFileSystem files(files_, {.at = 1, .fault = Fault::kFail, .and_after = true, .error_number = EROFS});
  EXPECT_THROW(Acquire(Lively(), files), Error);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(LeaseTest, AKillBetweenAnyTwoOperationsOfATakeoverLeavesATakableFolder) {
  const auto takeover = [&](FileSystem& files) { Acquire(Sleepy(), files); };
  LeaseRecord dead = OfAnotherHost();
  Leave(dead);
  FaultFileSystem counting(files_);
  takeover(counting);
  EXPECT_GE(counting.count(), 6);
  for (int at = 1; at <= counting.count(); ++at) {
    Leave(dead);
    const pid_t child = fork();
    if (child == 0) {
      FaultFileSystem files(files_, {.at = at, .fault = Fault::kShortenAndKill});
      takeover(files);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << "operation " << at;
    {
      const LeaseOptions options = Sleepy();
      const auto lease = Acquire(options);
      EXPECT_EQ(Written().holder.id, options.self.id);
      EXPECT_THAT(Files(), ElementsAre(kLeaseName)) << "killed at operation " << at;
    }
    EXPECT_THAT(Files(), IsEmpty());
  }
}

TEST_F(LeaseTest, ADamagedLeaseLapses) {
  for (const char* text : {"", "{", "{\"version\": 1}", "[1, 2]"}) {
    std::ofstream(path_) << text;
    const auto lease = Acquire(Sleepy());
    EXPECT_EQ(Written().holder.pid, getpid()) << text;
  }
}

TEST_F(LeaseTest, ALeaseOfANewerVersionIsNotTaken) {
  std::ofstream(path_) << "{\"version\": 2}";
  EXPECT_THAT(ErrorOf([&] { Acquire(Sleepy()); }).message(), HasSubstr("newer"));
}

TEST_F(LeaseTest, ALeaseRemovedOrDamagedByHandIsWrittenAgain) {
  const auto lease = Acquire(Resting());
  files_.RemoveAll(path_);
  EXPECT_NO_THROW(lease->CheckHeld());
  EXPECT_EQ(Written().holder.pid, getpid());
  std::ofstream(path_) << "no lease";
  EXPECT_NO_THROW(lease->CheckHeld());
  EXPECT_EQ(Written().holder.pid, getpid());
}

/// Calls `before` and `after` around the first rename, which is the takeover's move aside.
class Overtaken : public FaultFileSystem {
 public:
  using Step = std::function<void(const std::string& from, const std::string& to)>;
  Overtaken(Step before, Step after)
      : FaultFileSystem(FileSystem::Real()), before_(std::move(before)), after_(std::move(after)) {}
  void Rename(const std::string& from, const std::string& to) override {
    if (std::exchange(done_, true)) return FaultFileSystem::Rename(from, to);
    before_(from, to);
    try {
      FaultFileSystem::Rename(from, to);
    } catch (const Error&) {
      after_(from, to);
      throw;
    }
    after_(from, to);
  }

 private:
  const Step before_, after_;
  bool done_ = false;
};

TEST_F(LeaseTest, WhoFindsTheOldLeaseMovedByAFasterTakerLooksAgain) {
  Leave(OfAnotherHost());
  LeaseRecord faster = OfAnotherHost();
  faster.holder.id = "faster";
  Overtaken files([&](const std::string& from, const std::string&) { files_.RemoveAll(from); },
                  [&](const std::string&, const std::string&) { Leave(faster); });
  const LeaseOptions options = Sleepy();
  const auto lease = Acquire(options, files);
  EXPECT_EQ(Written().holder.id, options.self.id) << "once the faster one has lapsed too";
}

TEST_F(LeaseTest, WhoMovedAsideWhatItsHolderClearedUpLooksAgain) {
  Leave(OfAnotherHost());
  Overtaken files([](const std::string&, const std::string&) {},
                  [&](const std::string&, const std::string& to) { files_.RemoveAll(to); });
  const LeaseOptions options = Sleepy();
  const auto lease = Acquire(options, files);
  EXPECT_EQ(Written().holder.id, options.self.id);
}

/// Whether a commit could follow, once the machine is fast enough for the lease not to lapse meanwhile.
bool StillHeld(Lease& lease) {
  for (;;) try {
      lease.CheckHeld();
      return true;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCheckpoint) continue;
      EXPECT_THAT(error.message(), HasSubstr("superseded"));
      return false;
    }
}

TEST_F(LeaseTest, OfManyRacersOneHoldsTheFolder) {
  constexpr int kRacers = 4;
  for (int round = 0; round < 20; ++round) {
    const bool lapsed = round % 2 == 1;
    SCOPED_TRACE(lapsed ? "a lapsed lease" : "a free folder");
    if (lapsed) Leave(OfAnotherHost());
    std::vector<std::unique_ptr<Lease>> leases(kRacers);
    std::barrier start(kRacers);
    std::vector<std::thread> racers;
    for (int racer = 0; racer < kRacers; ++racer)
      racers.emplace_back([&, racer] {
        LeaseOptions options = Lively();
        if (lapsed) options.lapse = milliseconds(100);
        start.arrive_and_wait();
        try {
          leases[static_cast<size_t>(racer)] = Acquire(options);
        } catch (const Error& error) {
          EXPECT_THAT(error.message(), HasSubstr("another job is running"));
        }
      });
    for (std::thread& racer : racers) racer.join();
    int holders = 0;
    for (const auto& lease : leases) {
      if (lease && StillHeld(*lease)) ++holders;
    }
    EXPECT_EQ(holders, 1);
    leases.clear();
    EXPECT_THAT(Files(), IsEmpty());
  }
}

}  // namespace
}  // namespace lockstep::records
