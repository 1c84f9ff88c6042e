// The whole trainer, with threads as ranks: the bits of a run don't depend on how many there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "base/error.h"
#include "base/log.h"
#include "comm/local/local_communicator.h"
#include "data/open/open_dataset.h"
#include "tests/trainer/run/train_world.h"
#include "trainer/run/train.h"

namespace lockstep::run {
namespace {

struct Case {
  const char* name;
  TrainSetup setup;
  std::vector<std::string> arrays;  ///< that its checkpoints hold
};

const Case kCases[] = {
    // The update is fused with the sum.
    {"Fused", {}, {"momentum", "weights"}},
    // The update follows after the global norm; evaluations swap averaged weights in, and steer.
    {"Clipped",
     {.train = "epochs: 3 global_batch: 24 lanes: 8 seed: 3 evaluate_every_steps: 4 early_stopping { patience: 2 }",
      .optimizer = "adamw {} learning_rate: 0.01 weight_decay: 0.1 clip_norm: 0.5 ema_decay: 0.9",
      .checkpoint = "every_steps: 5"},
     {"adam.m", "adam.v", "best", "ema", "weights"}},
    // Statistics and noise; a step of seven lanes, and an epoch that ends within a step.
    {"Noisy",
     {.train = "steps: 15 global_batch: 28 lanes: 7 seed: 5",
      .model = "layers { layer { linear { features: 30 } } layer { batch_norm {} } layer { activation: GELU } layer { "
               "dropout: 0.3 } "
               "layer { linear {} } }"},
     {"momentum", "weights"}},
};

class TrainTest : public testing::TestWithParam<Case> {
 protected:
  // Ranks of one process share its log; later ones write to the files of the last.
  ~TrainTest() override { StartLog("", true, 0); }
  TemporaryFolder temporary_;
};

TEST_P(TrainTest, AnyNumberOfRanksGivesTheSameBits) {
  const TrainSetup& setup = GetParam().setup;
  const TrainOutcome one = TrainOnThreads(setup, 1, temporary_ / "1");
  EXPECT_NE(one.line.find("done name=small"), std::string::npos) << one.line;
  std::vector<std::string> arrays;
  for (const auto& [name, array] : one.arrays) arrays.push_back(name);
  EXPECT_EQ(arrays, GetParam().arrays);
  EXPECT_GT(one.metrics.size(), 10u);

  for (int ranks : {2, 3, 5}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks");
    ExpectEqual(TrainOnThreads(setup, ranks, temporary_ / std::to_string(ranks)), one);
  }
  SCOPED_TRACE("three nodes, two executors a rank");
  ExpectEqual(TrainOnThreads(setup, 4, temporary_ / "nodes", {2, 1, 1}, 2), one);
}

TEST_P(TrainTest, ARunGoesOnOnAnotherNumberOfRanks) {
  TrainSetup setup = GetParam().setup;
  if (setup.train.find("steps: ") != 0) GTEST_SKIP() << "its length is given in epochs";
  const TrainOutcome whole = TrainOnThreads(setup, 1, temporary_ / "whole");
  // Three starts, of which each trains some steps more.
  const std::string rest = setup.train.substr(setup.train.find(' ', 7));
  TrainSetup part = setup;
  part.train = "steps: 4" + rest;
  TrainOnThreads(part, 3, temporary_ / "parts");
  part.train = "steps: 9" + rest;
  TrainOnThreads(part, 1, temporary_ / "parts");
  const TrainOutcome last = TrainOnThreads(setup, 5, temporary_ / "parts", {3, 2});
  EXPECT_EQ(last.weights, whole.weights);
  EXPECT_EQ(last.arrays, whole.arrays);
}

TEST(TrainDataTest, ARunGoesOnWithTheDataThatItBeganWith) {
  const TemporaryFolder temporary;
  TrainSetup setup{.train = "steps: 4 global_batch: 24 lanes: 8"};
  TrainOnThreads(setup, 1, temporary / "run");
  setup.train = "steps: 8 global_batch: 24 lanes: 8";
  const auto open = [](const data::Source& source) { return data::OpenDataset(source, "data.train", /*seed=*/9); };
  TrainSetup other = setup;
  other.change = [&](Job& job) { job.splits.train = open(job.config.data.train()); };
  try {
    TrainOnThreads(other, 2, temporary / "run");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), testing::HasSubstr("the training data are not those that this run began with"));
  }
  // Another test split changes no weights: it is a warning.
  other.change = [&](Job& job) { job.splits.test = open(job.config.data.test()); };
  const TrainOutcome last = TrainOnThreads(other, 2, temporary / "run");
  EXPECT_EQ(last.weights, TrainOnThreads(setup, 1, temporary / "whole").weights);
}

TEST(TrainStopTest, WhatAStopAtTheLastStepLeavesOutComesWithTheNextStart) {
  const TemporaryFolder temporary;
  const TrainSetup setup{.train = "steps: 1 global_batch: 24 lanes: 8"};
  const TrainOutcome whole = TrainOnThreads(setup, 1, temporary / "whole");
  // Its time is over when it begins: it stops after the first step, before the evaluation of the end.
  comm::RunLocalWorld({2, {}, {}}, [&](comm::Communicator& comm) {
    Job job = MakeSmallJob(setup, comm);
    job.place.executors = 1;
    Start start = MakeSmallStart(job, temporary / "stopped");
    start.stop_before = StopClock::Clock::now();
    EXPECT_EQ(Train(job, start).exit_code, 75);
  });
  const TrainOutcome last = TrainOnThreads(setup, 3, temporary / "stopped");
  EXPECT_EQ(last.weights, whole.weights);
  EXPECT_EQ(last.arrays, whole.arrays);
  EXPECT_EQ(last.loop_state, whole.loop_state);
  EXPECT_EQ(last.metrics, whole.metrics);
}

INSTANTIATE_TEST_SUITE_P(Jobs, TrainTest, testing::ValuesIn(kCases), [](const auto& info) { return info.param.name; });

class TrainErrors : public testing::Test {
 protected:
  ~TrainErrors() override { StartLog("", true, 0); }

  /// The error that training on `ranks` in `folder` ends with, after `change` to each rank's job; and that no other
  /// rank reports one.
  Error ErrorOf(int ranks, const std::string& folder, const std::function<void(Job& job)>& change) {
    std::vector<Error> errors;
    std::mutex mutex;
    comm::RunLocalWorld({ranks, {}, {}}, [&](comm::Communicator& comm) {
      Job job = MakeSmallJob({}, comm);
      job.place.executors = 1;
      change(job);
      try {
        Train(job, MakeSmallStart(job, folder));
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        errors.push_back(error);
        comm.Abort(error.exit_code());
      }
    });
    EXPECT_EQ(errors.size(), 1u);
    return errors.empty() ? Error(ErrorKind::kInternal, "no error") : errors.front();
  }

  TemporaryFolder temporary_;
};

TEST_F(TrainErrors, MoreRanksThanLanes) {
  const Error error = ErrorOf(3, temporary_ / "run", [](Job& job) { job.config.train.set_lanes(2); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_EQ(error.where(), "train.lanes");
}

TEST_F(TrainErrors, ARankWithAnotherRecipe) {
  const Error error = ErrorOf(3, temporary_ / "run", [](Job& job) {
    if (job.place.comm->rank() == 2) job.config.identity = {"", "other", {{"train", "steps: 13"}, {"model", "mlp"}}};
  });
  EXPECT_EQ(error.kind(), ErrorKind::kMixed);
  EXPECT_NE(std::string(error.what()).find("rank 2 on "), std::string::npos) << error.what();
  EXPECT_NE(error.message().find("differs"), std::string::npos) << error.what();
  EXPECT_NE(error.message().find("in train, model"), std::string::npos) << error.what();
}

TEST_F(TrainErrors, ARankWithOtherData) {
  const Error error = ErrorOf(2, temporary_ / "run", [](Job& job) {
    if (job.place.comm->rank() == 1) job.splits.test = job.splits.train;
  });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_NE(error.message().find("test data"), std::string::npos) << error.what();
}

TEST_F(TrainErrors, AFolderThatCannotBeMade) {
  const Error error = ErrorOf(2, "/dev/null/run", [](Job&) {});
  EXPECT_EQ(error.kind(), ErrorKind::kAccess);
  EXPECT_NE(std::string(error.what()).find("/dev/null"), std::string::npos) << error.what();
}

/// Data of which one sample can't be read.
class TornData : public data::Dataset {
 public:
  explicit TornData(std::shared_ptr<const data::Dataset> whole) : whole_(std::move(whole)) {}
  uint64_t size() const override { return whole_->size(); }
  std::span<const data::Field> fields() const override { return whole_->fields(); }
  const data::SourceTraits& traits() const override { return whole_->traits(); }
  uint64_t fingerprint() const override { return whole_->fingerprint(); }
  void Read(uint64_t epoch, uint64_t id, data::Sample& sample) const override {
    if (id == 77) throw Error(ErrorKind::kData, "sample 77 is torn", "train.bin");
    whole_->Read(epoch, id, sample);
  }

 private:
  std::shared_ptr<const data::Dataset> whole_;
};

TEST_F(TrainErrors, DataThatCannotBeReadDuringAStepEndTheRunOnAllRanks) {
  const Error error =
      ErrorOf(3, temporary_ / "run", [](Job& job) { job.splits.train = std::make_shared<TornData>(job.splits.train); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_NE(std::string(error.what()).find("sample 77 is torn"), std::string::npos) << error.what();
}

TEST_F(TrainTest, EventFilesAreWrittenUnlessTheRecipeForbidsIt) {
  TrainSetup setup;
  TrainOnThreads(setup, 2, temporary_ / "with");
  setup.change = [](Job& job) { job.config.metrics.set_tensorboard(false); };
  TrainOnThreads(setup, 1, temporary_ / "without");
  FileSystem& files = FileSystem::Real();
  EXPECT_EQ(files.List(temporary_ / "with/tensorboard").size(), 1u) << "rank 0 alone writes one";
  EXPECT_FALSE(files.Exists(temporary_ / "without/tensorboard"));
}

}  // namespace
}  // namespace lockstep::run
