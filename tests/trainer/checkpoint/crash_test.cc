// A second checkpoint is written over and over, and each time the world ends at the next operation: what is found then
// is the old checkpoint or the new one, whole. Enumerated, not sampled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/files/fault_file_system.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::checkpoint {
namespace {

using Survives = MemoryFileSystem::Survives;

constexpr uint64_t kOldStep = 100, kNewStep = 200;
constexpr uint64_t kAnyStep = ~uint64_t{0};

const SmallRun& OldRun() {
  static const SmallRun run(2, 64, 1);
  return run;
}
const SmallRun& NewRun() {
  static const SmallRun run(2, 64, 2);
  return run;
}

void WriteNew(FileSystem& files, const std::string& checkpoints, uint32_t attempt = 2) {
  NewRun().Write(files, checkpoints, kNewStep, attempt, 3, 4);
  RemoveOld(files, checkpoints, 2, {});
}

/// The step that is found, after a look at every byte of it; and that nothing had to be passed over.
uint64_t FindWhole(FileSystem& files, const std::string& checkpoints) {
  std::vector<std::string> passed_over;
  const std::unique_ptr<Reader> reader = FindNewest(files, checkpoints, kAnyStep, &passed_over);
  EXPECT_THAT(passed_over, testing::IsEmpty());
  if (!reader) return 0;
  const SmallRun& run = reader->manifest().step() == kNewStep ? NewRun() : OldRun();
  for (int array = 0; array < 2; ++array) EXPECT_EQ(ReadArray(*reader, array), run.arrays[static_cast<size_t>(array)]);
  return reader->manifest().step();
}

struct Failing {
  const char* name;
  FileOperation operation;
  Fault fault;
  bool and_after;
};

class Crash : public testing::TestWithParam<Failing> {};

TEST_P(Crash, LeavesTheOldOrTheNewCheckpointAtEveryOperation) {
  int committed = 0, lost = 0;
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    MemoryFileSystem memory;
    OldRun().Write(memory, "checkpoints", kOldStep, 1, 2, 4);
    FaultFileSystem files(memory, {.operation = GetParam().operation,
                                   .at = k,
                                   .fault = GetParam().fault,
                                   .and_after = GetParam().and_after,
                                   .error_number = ENOSPC});
    const std::string error = CheckpointErrorOf([&] { WriteNew(files, "checkpoints"); });
    if (files.count() < k) {
      EXPECT_EQ(error, "no error");
      break;
    }
    EXPECT_THAT(error, testing::Not(testing::HasSubstr("another kind of error")));
    const uint64_t seen = FindWhole(memory, "checkpoints");
    EXPECT_THAT(seen, testing::AnyOf(kOldStep, kNewStep));
    for (const Survives survives : {Survives::kAll, Survives::kDurable, Survives::kNames}) {
      const std::unique_ptr<MemoryFileSystem> after = memory.Crash(survives);
      const uint64_t found = FindWhole(*after, "checkpoints");
      EXPECT_THAT(found, testing::AnyOf(kOldStep, kNewStep));
      if (error == "no error") {
        EXPECT_EQ(found, kNewStep) << "what was reported as committed must be durable";
      }
      (found == kNewStep ? committed : lost)++;
      // The next attempt goes on over whatever is left.
      WriteNew(*after, "checkpoints", 3);
      EXPECT_EQ(FindWhole(*after, "checkpoints"), kNewStep);
      EXPECT_THAT(after->List("checkpoints/step-00000200"), testing::SizeIs(4));
    }
  }
  // A look that fails is no reason not to commit.
  EXPECT_EQ(lost == 0, GetParam().operation == FileOperation::kAnyRead);
  if (GetParam().operation == FileOperation::kAny || GetParam().operation == FileOperation::kAnyRead) {
    EXPECT_GT(committed, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, Crash,
                         testing::Values(Failing{"Stop", FileOperation::kAny, Fault::kFail, true},
                                         Failing{"OneFailure", FileOperation::kAny, Fault::kFail, false},
                                         Failing{"ShortWriteThenStop", FileOperation::kAny, Fault::kShorten, true},
                                         Failing{"FullDisk", FileOperation::kAppend, Fault::kShorten, true},
                                         Failing{"FailedSync", FileOperation::kSync, Fault::kFail, false},
                                         Failing{"FailedClose", FileOperation::kClose, Fault::kFail, false},
                                         Failing{"FailedRename", FileOperation::kRename, Fault::kFail, false},
                                         Failing{"FailedFolderSync", FileOperation::kSyncFolder, Fault::kFail, false},
                                         Failing{"OneFailedRead", FileOperation::kAnyRead, Fault::kFail, false},
                                         Failing{"ReadsStop", FileOperation::kAnyRead, Fault::kFail, true}),
                         [](const testing::TestParamInfo<Failing>& info) { return info.param.name; });

// What is found is whole, or there is an error of a kind that says so; never other numbers.
TEST(FailedReads, WhileACheckpointIsLookedForGiveItsNumbersOrAnError) {
  MemoryFileSystem memory;
  OldRun().Write(memory, "checkpoints", kOldStep, 1, 2, 4);
  NewRun().Write(memory, "checkpoints", kNewStep, 1, 3, 4);
  int old = 0, errors = 0;
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    FaultFileSystem files(
        memory, {.operation = FileOperation::kAnyRead, .at = k, .fault = Fault::kFail, .error_number = ESTALE});
    try {
      std::vector<std::string> passed_over;
      const std::unique_ptr<Reader> reader = FindNewest(files, "checkpoints", kAnyStep, &passed_over);
      ASSERT_TRUE(reader);
      const bool is_new = reader->manifest().step() == kNewStep;
      old += !is_new;
      EXPECT_EQ(passed_over.empty(), is_new);
      EXPECT_EQ(ReadArray(*reader, 1), (is_new ? NewRun() : OldRun()).arrays[1]);
    } catch (const Error& error) {
      EXPECT_THAT(error.kind(), testing::AnyOf(ErrorKind::kCheckpoint, ErrorKind::kStorage)) << error.what();
      ++errors;
    }
    if (files.count() < k) break;
  }
  EXPECT_GT(old, 0);
  EXPECT_GT(errors, 0);
}

TEST(FullDisk, LeavesNoTemporaryFileAndNothingThatCounts) {
  MemoryFileSystem memory;
  OldRun().Write(memory, "checkpoints", kOldStep, 1, 2, 4);
  const std::vector<std::string> before = memory.Paths();
  FaultFileSystem files(memory, {.operation = FileOperation::kAppend,
                                 .at = 3,
                                 .fault = Fault::kShorten,
                                 .and_after = true,
                                 .error_number = ENOSPC});
  const std::string error = CheckpointErrorOf([&] { WriteNew(files, "checkpoints"); });
  EXPECT_THAT(error, testing::HasSubstr("rank-00000.attempt-0002.shard."));
  EXPECT_THAT(error, testing::HasSubstr("No space left on device"));
  EXPECT_EQ(memory.Paths(), before);
  DiscardUnfinished(memory, "checkpoints/step-00000200");
  EXPECT_FALSE(memory.Exists("checkpoints/step-00000200"));
}

/// The removal of old checkpoints is killed at every operation: nothing damaged is ever seen.
TEST(Removal, KilledAnywhereLeavesOnlyWholeCheckpoints) {
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    MemoryFileSystem memory;
    for (const uint64_t step : {10, 20, 30, 40}) OldRun().Write(memory, "checkpoints", step, 1, 2, 4);
    FaultFileSystem files(memory, {.at = k, .fault = Fault::kFail, .and_after = true});
    CheckpointErrorOf([&] { RemoveOld(files, "checkpoints", 2, {}); });
    if (files.count() < k) break;
    for (const Survives survives : {Survives::kAll, Survives::kDurable}) {
      const std::unique_ptr<MemoryFileSystem> after = memory.Crash(survives);
      for (const uint64_t step : ListSteps(*after, "checkpoints"))
        EXPECT_NO_THROW(Reader::Open(*after, "checkpoints/" + FolderName(step))->Verify()) << step;
      EXPECT_THAT(ListSteps(*after, "checkpoints"), testing::IsSupersetOf({uint64_t{30}, uint64_t{40}}));
    }
  }
}

/// The same with real files and a real SIGKILL, half of an append written.
TEST(Kill, AtEveryOperationOfARealFolderLeavesTheOldOrTheNewCheckpoint) {
  const std::string root = ScratchFolder("checkpoint-kill");
  bool killed = true;
  for (int k = 1; killed; ++k) {
    SCOPED_TRACE(k);
    std::filesystem::remove_all(root);
    OldRun().Write(FileSystem::Real(), root, kOldStep, 1, 2, 4);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FaultFileSystem files(FileSystem::Real(), {.at = k, .fault = Fault::kShortenAndKill});
      WriteNew(files, root);
      _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    killed = WIFSIGNALED(status);
    const uint64_t found = FindWhole(FileSystem::Real(), root);
    if (killed) {
      EXPECT_EQ(WTERMSIG(status), SIGKILL);
      EXPECT_THAT(found, testing::AnyOf(kOldStep, kNewStep));
    } else {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      EXPECT_EQ(found, kNewStep);
    }
  }
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace lockstep::checkpoint
