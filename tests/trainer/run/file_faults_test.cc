// A small run meets a fault at every operation on its checkpoints, and at every read, one after the other: whatever
// comes of it, the next start, on another number of ranks, ends with the weights, the state and the metrics of a run
// without faults. Enumerated, not sampled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "base/files/fault_file_system.h"
#include "tests/trainer/run/train_world.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/records/run_folder.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::run {
namespace {

// Three checkpoints, of which two are kept: the first is removed.
TrainSetup ThreeCheckpoints(const std::string& on_write_error, int files) {
  TrainSetup setup;
  setup.train = "steps: 6 global_batch: 24 lanes: 8 evaluate_every_steps: 4";
  setup.checkpoint = "every_steps: 2 keep: 2 on_write_error: " + on_write_error + " files: " + std::to_string(files);
  return setup;
}

enum Ending { kDone, kDoneWithFault, kError, kKilled, kOther };

/// Trains in a process of its own, which can be killed, and which leaves no threads in this one.
Ending TrainInChild(const TrainSetup& setup, int ranks, const std::string& folder, const FaultPlan& plan) {
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen((folder + ".log").c_str(), "a", stderr) == nullptr) _exit(kOther);
    FaultFileSystem files(FileSystem::Real(), plan);
    try {
      TrainOnThreads(setup, ranks, folder, {}, 1, files);
      _exit(plan.at > 0 && files.count() >= plan.at ? kDoneWithFault : kDone);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      _exit(kError);
    } catch (...) {
      _exit(kOther);
    }
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return kOther;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return kKilled;
  return WIFEXITED(status) ? static_cast<Ending>(WEXITSTATUS(status)) : kOther;
}

TrainOutcome OutcomeIn(const std::string& folder) {
  const auto done = records::RunFolder(FileSystem::Real(), folder).ReadDone();
  return OutcomeOf(folder, done ? done->line : "");
}

struct Failing {
  const char* name;
  FileOperation operation;
  Fault fault;
  bool and_after;
  const char* on_write_error;
  int ranks = 2;
  int files = 0;
};

class FileFaults : public testing::TestWithParam<Failing> {};

TEST_P(FileFaults, AtEveryOperationOnCheckpointsLeaveARunThatEndsWithEqualWeights) {
  const TemporaryFolder root;
  const TrainSetup setup = ThreeCheckpoints(GetParam().on_write_error, GetParam().files);
  ASSERT_EQ(TrainInChild(ThreeCheckpoints("WARN", 0), 2, root / "quiet", {}), kDone);
  const TrainOutcome quiet = OutcomeIn(root / "quiet");
  ASSERT_EQ(quiet.weights.size(), 16u);

  const std::string folder = root / "run";
  int faults = 0, resumed = 0;
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    std::filesystem::remove_all(folder);
    const FaultPlan plan{.operation = GetParam().operation,
                         .at = k,
                         .fault = GetParam().fault,
                         .and_after = GetParam().and_after,
                         .error_number = ENOSPC,
                         .path_part = "/checkpoints"};
    const Ending ending = TrainInChild(setup, GetParam().ranks, folder, plan);
    ASSERT_NE(ending, kOther);
    if (ending == kDone) break;
    ++faults;
    const auto newest = checkpoint::FindNewest(FileSystem::Real(), folder + "/checkpoints", 100, nullptr);
    resumed += newest && newest->manifest().step() < 6;
    ASSERT_EQ(TrainInChild(setup, 3, folder, {}), kDone);
    const TrainOutcome outcome = OutcomeIn(folder);
    EXPECT_EQ(outcome.weights, quiet.weights);
    EXPECT_EQ(outcome.arrays, quiet.arrays);
    EXPECT_EQ(outcome.loop_state, quiet.loop_state);
    EXPECT_EQ(outcome.metrics, quiet.metrics);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
    if (HasFailure()) break;
  }
  EXPECT_GT(faults, 3);
  EXPECT_GT(resumed, 0);
  std::printf("%d faults, %d resumed in the middle\n", faults, resumed);
}

INSTANTIATE_TEST_SUITE_P(
    Each, FileFaults,
    testing::Values(Failing{"Kill", FileOperation::kAny, Fault::kShortenAndKill, false, "WARN"},
                    Failing{"OneFailureAndStop", FileOperation::kAny, Fault::kFail, false, "STOP"},
                    Failing{"OneFailureAndOn", FileOperation::kAny, Fault::kFail, false, "WARN"},
                    Failing{"AllFromThereOn", FileOperation::kAny, Fault::kFail, true, "STOP"},
                    Failing{"ShortWrite", FileOperation::kAppend, Fault::kShorten, false, "STOP"},
                    Failing{"FullDisk", FileOperation::kAppend, Fault::kShorten, true, "WARN"},
                    Failing{"KillWithSharedFiles", FileOperation::kAny, Fault::kShortenAndKill, false, "WARN", 5, 2},
                    Failing{"FailureWithSharedFiles", FileOperation::kAny, Fault::kFail, false, "WARN", 5, 2},
                    Failing{"ShortWriteIntoSharedFiles", FileOperation::kAppend, Fault::kShorten, false, "STOP", 5, 2}),
    [](const testing::TestParamInfo<Failing>& info) { return info.param.name; });

/// What an attempt that ended with an error must leave: its own words, of the kind that they are.
void ExpectWords(const std::string& folder, uint32_t begun_before) {
  const records::RunFolderReader files(folder);
  if (files.LastAttempt() == begun_before) return;  // it ended before it began
  const auto ending = files.ReadEnding();
  ASSERT_TRUE(ending) << "no verdict";
  EXPECT_EQ(ending->attempt, files.LastAttempt());
  ASSERT_TRUE(ending->kind);
  // kAccess: what may not be used at the start is no disk that fails later.
  EXPECT_THAT(*ending->kind, testing::AnyOf(ErrorKind::kStorage, ErrorKind::kCheckpoint, ErrorKind::kAccess))
      << ending->text;
}

struct FailingRead {
  const char* name;
  bool and_after;
  const char* on_write_error;
  int error_number;
};
class ReadFaults : public testing::TestWithParam<FailingRead> {};

TEST_P(ReadFaults, AtEveryReadOfARunThatGoesOnEndInWordsOrAreNoLoss) {
  const TemporaryFolder root;
  TrainSetup setup = ThreeCheckpoints(GetParam().on_write_error, 0);
  ASSERT_EQ(TrainInChild(setup, 2, root / "quiet", {}), kDone);
  const TrainOutcome quiet = OutcomeIn(root / "quiet");
  setup.checkpoint += " keep_every: 2";
  // Killed while it committed its second checkpoint.
  const FaultPlan kill{.operation = FileOperation::kRename, .at = 2, .fault = Fault::kKill, .path_part = "manifest.pb"};
  ASSERT_EQ(TrainInChild(setup, 2, root / "half", kill), kKilled);

  const std::string folder = root / "run";
  int faults = 0, errors = 0;
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    std::filesystem::remove_all(folder);
    std::filesystem::copy(root / "half", folder, std::filesystem::copy_options::recursive);
    const FaultPlan plan{.operation = FileOperation::kAnyRead,
                         .at = k,
                         .fault = Fault::kFail,
                         .and_after = GetParam().and_after,
                         .error_number = GetParam().error_number};
    const Ending ending = TrainInChild(setup, 2, folder, plan);
    ASSERT_THAT(ending, testing::AnyOf(kDone, kDoneWithFault, kError));
    if (ending == kDone) break;
    ++faults;
    if (ending == kError) {
      ++errors;
      ExpectWords(folder, 1);
    }
    ASSERT_EQ(TrainInChild(setup, 3, folder, {}), kDone);
    const TrainOutcome outcome = OutcomeIn(folder);
    EXPECT_EQ(outcome.weights, quiet.weights);
    EXPECT_EQ(outcome.arrays, quiet.arrays);
    EXPECT_EQ(outcome.metrics, quiet.metrics);
    if (HasFailure()) break;
  }
  EXPECT_GT(faults, 20);
  EXPECT_GT(errors, 3);
  std::printf("%d faults, %d errors\n", faults, errors);
}

INSTANTIATE_TEST_SUITE_P(Each, ReadFaults,
                         testing::Values(FailingRead{"OneAndOn", false, "WARN", EIO},
                                         FailingRead{"OneAndStop", false, "STOP", ESTALE},
                                         FailingRead{"AllFromThereOn", true, "WARN", EIO},
                                         FailingRead{"NotAllowedAnyMore", true, "WARN", EACCES}),
                         [](const testing::TestParamInfo<FailingRead>& info) { return info.param.name; });

// A folder that can't be listed is no reason to end: what is old stays.
TEST(KeepEvery, OfAFolderThatCantBeListedIsAWarning) {
  const TemporaryFolder root;
  TrainSetup setup = ThreeCheckpoints("WARN", 0);
  setup.checkpoint += " keep_every: 4";
  ASSERT_EQ(TrainInChild(setup, 2, root / "quiet", {}), kDone);
  // The first listing is the start's own: it looks for unfinished checkpoints.
  const FaultPlan plan{.operation = FileOperation::kList,
                       .at = 1,
                       .fault = Fault::kFail,
                       .and_after = true,
                       .error_number = EIO,
                       .path_part = "/checkpoints"};
  ASSERT_EQ(TrainInChild(setup, 2, root / "run", plan), kDoneWithFault);
  EXPECT_EQ(OutcomeIn(root / "run").weights, OutcomeIn(root / "quiet").weights);
}

}  // namespace
}  // namespace lockstep::run
