// Profiles of small runs on threads: what is in them, and that nothing else changes.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/base/temporary_folder.h"
#include "tests/trainer/run/train_world.h"
#include "trainer/records/profile_record.h"
#include "trainer/records/run_folder.h"

namespace lockstep::run {
namespace {

using profile::Event;
using profile::What;
using records::RankProfile;

TrainSetup Profiled(uint32_t warm_up, uint32_t steps, TrainSetup setup = {}) {
  setup.change = [warm_up, steps](Job& job) {
    job.config.profile.set_warm_up_steps(warm_up);
    job.config.profile.set_steps(steps);
  };
  return setup;
}

RankProfile ReadRank(const std::string& folder, int rank) {
  const std::string path = records::RunFolder(FileSystem::Real(), folder).profile(rank);
  return records::ParseProfile(ReadWholeFile(FileSystem::Real(), path), path);
}

std::map<What, int> CountsOf(const records::ProfiledThread& thread) {
  std::map<What, int> counts;
  for (const Event& event : thread.events) ++counts[event.what];
  return counts;
}

bool Within(const Event& inner, const Event& outer) {
  return outer.begin_ns <= inner.begin_ns && inner.end_ns <= outer.end_ns;
}

/// Whether an event of kind `outer` of the same step and lane encloses it.
bool LiesIn(const Event& event, What outer, const records::ProfiledThread& thread) {
  return std::any_of(thread.events.begin(), thread.events.end(), [&](const Event& other) {
    return other.what == outer && other.step == event.step && other.lane == event.lane && Within(event, other);
  });
}

/// Whether each event of kind `inner` lies in one of kind `outer`.
bool AllLieIn(What inner, What outer, const records::ProfiledThread& thread) {
  return std::all_of(thread.events.begin(), thread.events.end(),
                     [&](const Event& event) { return event.what != inner || LiesIn(event, outer, thread); });
}

/// Of three steps from step 4 on, of two lanes each.
void ExpectWholeExecutor(const records::ProfiledThread& thread, const records::ProfiledProgram& program) {
  constexpr int kRuns = 3 * 2;
  std::map<What, int> counts = CountsOf(thread);
  for (const What what : {What::kLane, What::kSamples, What::kInputs, What::kForward, What::kBackward})
    EXPECT_EQ(counts[what], kRuns) << Name(what);
  EXPECT_GT(counts[What::kOp], 0);
  EXPECT_EQ(counts[What::kOp] % kRuns, 0);
  EXPECT_GE(counts[What::kFold], kRuns);
  EXPECT_EQ(thread.dropped, 0u);
  EXPECT_TRUE(AllLieIn(What::kForward, What::kLane, thread));
  EXPECT_TRUE(AllLieIn(What::kBackward, What::kLane, thread));
  EXPECT_TRUE(AllLieIn(What::kSamples, What::kLane, thread));
  std::set<int> ops;
  for (const Event& event : thread.events) {
    EXPECT_TRUE(4 <= event.step && event.step < 7) << event.step;
    if (event.what != What::kOp) continue;
    ops.insert(event.number);
    const bool forward = static_cast<uint64_t>(event.number) < program.forward_ops;
    EXPECT_TRUE(LiesIn(event, forward ? What::kForward : What::kBackward, thread)) << event.number;
  }
  // All but those that have nothing to do.
  for (size_t i = 0; i < program.ops.size(); ++i)
    EXPECT_TRUE(ops.contains(static_cast<int>(i)) || program.ops[i].kind == "reshape") << program.ops[i].name;
}

TEST(Profiler, RecordsEachOpOfEachLaneOfItsSteps) {
  const TemporaryFolder folder;
  TrainOnThreads(Profiled(4, 3), 2, folder / "run", {}, 2);
  std::set<int> lanes;
  int updates = 0;
  for (int rank = 0; rank < 2; ++rank) {
    const RankProfile profile = ReadRank(folder / "run", rank);
    EXPECT_EQ(profile.rank, rank);
    EXPECT_EQ(profile.world_size, 2);
    EXPECT_EQ(profile.first_step, 4u);
    EXPECT_EQ(profile.steps, 3u);
    ASSERT_EQ(profile.programs.size(), 1u);
    ASSERT_EQ(profile.threads.size(), 3u) << "one that communicates, two executors";
    for (size_t t = 1; t < 3; ++t) {
      ExpectWholeExecutor(profile.threads[t], profile.programs[0]);
      for (const Event& event : profile.threads[t].events) lanes.insert(event.lane);
    }
    const records::ProfiledThread& communicating = profile.threads[0];
    std::map<What, int> counts = CountsOf(communicating);
    for (const What what : {What::kStep, What::kPrepare, What::kReduce, What::kShare, What::kControl})
      EXPECT_EQ(counts[what], 3) << Name(what);
    updates += counts[What::kUpdate];
    EXPECT_TRUE(AllLieIn(What::kUpdate, What::kReduce, communicating));
    EXPECT_TRUE(AllLieIn(What::kReduce, What::kStep, communicating));
  }
  EXPECT_EQ(lanes.size(), 8u);
  EXPECT_GE(updates, 3) << "of this small model one rank may own all";
}

TEST(Profiler, ChangesNoBitOfTheRun) {
  const TemporaryFolder folder;
  for (const char* optimizer :
       {"sgd { momentum: 0.9 } learning_rate: 0.05", "adam {} learning_rate: 0.01 clip_norm: 0.5"}) {
    const TrainSetup setup{.optimizer = optimizer};
    const TrainOutcome without = TrainOnThreads(setup, 2, folder / "without");
    const TrainOutcome with = TrainOnThreads(Profiled(1, 9, setup), 2, folder / "with");
    ExpectEqual(without, with);
    EXPECT_FALSE(std::filesystem::exists(folder / "without/profile"));
    EXPECT_TRUE(std::filesystem::exists(folder / "with/profile/rank-1.json"));
    std::filesystem::remove_all(folder / "with");
    std::filesystem::remove_all(folder / "without");
  }
}

TEST(Profiler, ARunThatEndsSoonerLeavesTheStepsThatThereWere) {
  const TemporaryFolder folder;
  TrainOnThreads(Profiled(10, 20), 3, folder / "run");  // of 12 steps
  for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(ReadRank(folder / "run", rank).steps, 2u);
  TrainOnThreads(Profiled(12, 20), 1, folder / "short");
  EXPECT_FALSE(std::filesystem::exists(folder / "short/profile"));
}

TEST(Profiler, OpsHaveTheirWork) {
  const TemporaryFolder folder;
  TrainOnThreads(Profiled(0, 1), 1, folder / "run");
  const RankProfile profile = ReadRank(folder / "run", 0);
  // fc1: three rows of 20 features to 40, two operations each.
  const records::ProfiledOp& fc1 = profile.programs[0].ops[0];
  EXPECT_EQ(fc1.kind, "linear");
  EXPECT_NEAR(fc1.flops, 2.0 * 3 * 20 * 40, 3 * 40 + 1) << "the bias may count";
  EXPECT_EQ(fc1.bytes, 4.0 * (3 * 20 + 20 * 40 + 40 + 3 * 40));
}

}  // namespace
}  // namespace lockstep::run
