// Whatever ends an attempt that has begun, its folder says what: every verdict that an error of the world can leave.
#include "trainer/run/attempt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>

#include "base/files/fault_file_system.h"
#include "base/log.h"
#include "comm/local/local_communicator.h"
#include "tests/trainer/run/train_world.h"
#include "trainer/records/run_folder_reader.h"
#include "trainer/run/train.h"

namespace lockstep::run {
namespace {

using records::AttemptEnding;

/// Data that do something when one of their samples is read.
class HookedData : public data::Dataset {
 public:
  HookedData(std::shared_ptr<const data::Dataset> whole, uint64_t id, std::function<void()> hook)
      : whole_(std::move(whole)), id_(id), hook_(std::move(hook)) {}
  uint64_t size() const override { return whole_->size(); }
  std::span<const data::Field> fields() const override { return whole_->fields(); }
  const data::SourceTraits& traits() const override { return whole_->traits(); }
  uint64_t fingerprint() const override { return whole_->fingerprint(); }
  void Read(uint64_t epoch, uint64_t id, data::Sample& sample) const override {
    if (id == id_) hook_();
    whole_->Read(epoch, id, sample);
  }

 private:
  const std::shared_ptr<const data::Dataset> whole_;
  const uint64_t id_;
  const std::function<void()> hook_;
};

void WhenRead(Job& job, uint64_t id, std::function<void()> hook) {
  job.splits.train = std::make_shared<HookedData>(job.splits.train, id, std::move(hook));
}

class AttemptTest : public testing::Test {
 protected:
  ~AttemptTest() override { StartLog("", true, 0); }

  /// Trains, and expects that it fails; `change` is made to each rank's job.
  void Fail(int ranks, const std::function<void(Job& job)>& change, FileSystem& files = FileSystem::Real()) {
    EXPECT_ANY_THROW(comm::RunLocalWorld({ranks, {}, {}}, [&](comm::Communicator& comm) {
      Job job = MakeSmallJob({.checkpoint = checkpoint_}, comm);
      job.place.executors = 1;
      change(job);
      Start start = MakeSmallStart(job, folder_);
      start.files = &files;
      Train(job, start);
    }));
  }
  std::optional<AttemptEnding> Ending() { return records::RunFolderReader(folder_).ReadEnding(); }
  uint32_t LastAttempt() { return records::RunFolderReader(folder_).LastAttempt(); }
  /// That attempt `number` has begun, and has ended by an error of `kind`.
  void ExpectVerdict(uint32_t number, ErrorKind kind) {
    EXPECT_EQ(LastAttempt(), number);
    const auto ending = Ending();
    ASSERT_TRUE(ending) << "no verdict";
    EXPECT_EQ(ending->attempt, number);
    ASSERT_TRUE(ending->kind);
    EXPECT_STREQ(InfoOf(*ending->kind).name, InfoOf(kind).name) << ending->message;
    EXPECT_EQ(ending->exit_code, ExitCodeOf(kind));
    EXPECT_FALSE(ending->where.empty());
  }

  TemporaryFolder temporary_;
  const std::string folder_ = temporary_ / "run";
  std::string checkpoint_;
};

TEST_F(AttemptTest, TooLittleMemoryIsNoted) {
  Fail(2, [](Job& job) {
    job.model.build = [](graph::Mode, const data::BatchShape&) -> graph::Model {
      throw Error(ErrorKind::kMemory, "2 ranks on this host need 9 MiB");
    };
  });
  ExpectVerdict(1, ErrorKind::kMemory);
}

TEST_F(AttemptTest, AnAllocationThatFailsOnOneRankIsNoted) {
  Fail(3, [](Job& job) {
    if (job.place.comm->rank() == 2)
      job.model.build = [](graph::Mode, const data::BatchShape&) -> graph::Model { throw std::bad_alloc(); };
  });
  ExpectVerdict(1, ErrorKind::kMemory);
  EXPECT_THAT(Ending()->where, testing::HasSubstr("rank 2 on "));
}

TEST_F(AttemptTest, WhatIsNoErrorIsNotedAsABug) {
  Fail(2, [](Job& job) {
    if (job.place.comm->rank() == 1)
      job.model.build = [](graph::Mode, const data::BatchShape&) -> graph::Model { throw std::runtime_error("odd"); };
  });
  ExpectVerdict(1, ErrorKind::kInternal);
  EXPECT_EQ(Ending()->message, "odd");
}

TEST_F(AttemptTest, FilesThatCantBeOpenedAtTheStartAreNoted) {
  uint32_t attempt = 0;
  for (const char* name : {"metrics.jsonl", "logs/rank-1.log"}) {
    std::filesystem::create_directories(folder_ + "/" + name);
    Fail(2, [](Job&) {});
    if (std::string(name) == "metrics.jsonl") {
      // Found before the attempt begins: rows are to be read there.
      EXPECT_EQ(LastAttempt(), 0u);
    } else {
      ExpectVerdict(++attempt, ErrorKind::kAccess);
    }
    std::filesystem::remove_all(folder_ + "/" + name);
  }
}

TEST_F(AttemptTest, AFailureOfTheCoordinatorAfterTheAttemptBeganIsNoted) {
  FaultFileSystem files(FileSystem::Real(),
                        {.at = 1, .fault = Fault::kFail, .error_number = EIO, .path_part = ".witness"});
  Fail(
      2, [](Job&) {}, files);
  ExpectVerdict(1, ErrorKind::kStorage);
}

TEST_F(AttemptTest, ADiskThatFailsInMidRunIsStorageForTheSupervisorToTryAgain) {
  for (const int number : {EIO, ESTALE, EACCES}) {
    std::filesystem::remove_all(folder_);
    Fail(2, [&](Job& job) { WhenRead(job, 77, [number] { throw FileError(number, "can't read", "train.bin"); }); });
    ExpectVerdict(1, ErrorKind::kStorage);
    EXPECT_EQ(Ending()->exit_code, 6);
    EXPECT_EQ(Ending()->where, "train.bin");
  }
}

TEST_F(AttemptTest, AnAttemptWhoseRunAnotherHasTakenOverLeavesItsVerdictAlone) {
  checkpoint_ = "every_steps: 4";
  std::once_flag once;
  Fail(2, [&](Job& job) {
    WhenRead(job, 77, [&] {
      std::call_once(once, [&] {
        records::RunFolder other(FileSystem::Real(), folder_);
        other.BeginAttempt({});
        other.WriteEnding({2, ErrorKind::kPreempted, 75, "stopped in time", "", 3, ""});
      });
    });
  });
  const auto ending = Ending();
  ASSERT_TRUE(ending);
  EXPECT_EQ(ending->attempt, 2u);
  EXPECT_EQ(ending->kind, ErrorKind::kPreempted);
}

}  // namespace
}  // namespace lockstep::run
