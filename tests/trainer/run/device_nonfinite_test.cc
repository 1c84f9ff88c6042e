// Losses and gradients that are not finite, and ranks that fail, on emulated devices: what is said, and what is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/lane_tree.h"
#include "base/log.h"
#include "data/sampler.h"
#include "tests/trainer/run/device_setups.h"
#include "trainer/checkpoint/checkpoint.pb.h"

namespace lockstep::run {
namespace {

constexpr uint64_t kPoisoned = 77;

/// Data of which one sample's features are all `value`, and its label 0.
class PoisonedData : public data::Dataset {
 public:
  PoisonedData(std::shared_ptr<const data::Dataset> whole, float value) : whole_(std::move(whole)), value_(value) {}
  uint64_t size() const override { return whole_->size(); }
  std::span<const data::Field> fields() const override { return whole_->fields(); }
  const data::SourceTraits& traits() const override { return whole_->traits(); }
  uint64_t fingerprint() const override { return whole_->fingerprint(); }
  void Read(uint64_t epoch, uint64_t id, data::Sample& sample) const override {
    whole_->Read(epoch, id, sample);
    if (id != kPoisoned) return;
    for (size_t f = 0; f < fields().size(); ++f) {
      if (fields()[f].name == "features") std::ranges::fill(sample.tensors[f].As<float>(), value_);
      if (fields()[f].name == "label") sample.tensors[f].As<int32_t>()[0] = 0;
    }
  }

 private:
  std::shared_ptr<const data::Dataset> whole_;
  const float value_;
};

/// Data whose samples can't be read, on ranks that have them.
class TornData : public data::Dataset {
 public:
  explicit TornData(std::shared_ptr<const data::Dataset> whole) : whole_(std::move(whole)) {}
  uint64_t size() const override { return whole_->size(); }
  std::span<const data::Field> fields() const override { return whole_->fields(); }
  const data::SourceTraits& traits() const override { return whole_->traits(); }
  uint64_t fingerprint() const override { return whole_->fingerprint(); }
  void Read(uint64_t, uint64_t id, data::Sample&) const override {
    throw Error(ErrorKind::kData, "sample " + std::to_string(id) + " is torn", "train.bin");
  }

 private:
  std::shared_ptr<const data::Dataset> whole_;
};

constexpr int kLanes = 8;
constexpr uint64_t kBatch = 24, kSamples = 150;

/// Positions of the poisoned sample in the first `steps` steps.
std::vector<uint64_t> PoisonedPositions(uint64_t steps, uint64_t seed) {
  const data::Sampler sampler(kSamples, seed);
  std::vector<uint64_t> positions;
  for (uint64_t p = 0; p < steps * kBatch; ++p)
    if (sampler.At(p).id == kPoisoned) positions.push_back(p);
  return positions;
}

class NonfiniteTest : public testing::Test {
 protected:
  ~NonfiniteTest() override { StartLog("", true, 0); }

  static TrainSetup Poisoned(float value, const std::string& train, const std::string& optimizer,
                             std::function<void(Job&)> then = {}) {
    TrainSetup setup{.train = train, .optimizer = optimizer, .model = kWide};
    setup.change = [=](Job& job) {
      job.splits.train = std::make_shared<PoisonedData>(job.splits.train, value);
      if (then) then(job);
    };
    return OnDevices(setup);
  }

  TemporaryFolder temporary_;
};

TEST_F(NonfiniteTest, SkippedStepsChangeNothingOnAnyNumberOfRanks) {
  const TrainSetup setup =
      Poisoned(std::numeric_limits<float>::infinity(),
               "steps: 15 global_batch: 24 lanes: 8 on_nonfinite: SKIP_STEP evaluate_every_steps: 4 "
               "early_stopping { patience: 9 }",
               "adamw {} learning_rate: 0.01 weight_decay: 0.1 clip_norm: 0.5 ema_decay: 0.9");
  const TrainOutcome one = TrainOnThreads(setup, 1, temporary_ / "1");
  for (const auto& [name, array] : one.arrays)
    for (float value : array) ASSERT_TRUE(std::isfinite(value)) << name;
  checkpoint::LoopState state;
  ASSERT_TRUE(state.ParseFromString(one.loop_state));
  const size_t skipped = PoisonedPositions(15, 0).size();
  ASSERT_GE(skipped, 2u);
  EXPECT_EQ(state.updates_applied(), 15 - skipped);
  for (int ranks : {2, 3}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks");
    ExpectEqual(TrainOnThreads(setup, ranks, temporary_ / std::to_string(ranks)), one);
  }
}

/// What ends a run on `ranks` ranks.
std::string DivergenceOf(const TrainSetup& setup, int ranks, const std::string& folder) {
  try {
    TrainOnThreads(setup, ranks, folder);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDiverged) << error.what();
    return error.message();
  }
  ADD_FAILURE() << "went on";
  return "";
}

TEST_F(NonfiniteTest, ALossThatIsNotFiniteNamesItsLaneAndSamples) {
  const TrainSetup setup = Poisoned(std::numeric_limits<float>::infinity(), "steps: 15 global_batch: 24 lanes: 8",
                                    "sgd {} learning_rate: 0.05");
  const uint64_t position = PoisonedPositions(15, 0).front();
  const uint64_t lane = position % kBatch / (kBatch / kLanes);
  for (int ranks : {1, 2, 3}) {
    const std::string text = DivergenceOf(setup, ranks, temporary_ / std::to_string(ranks));
    EXPECT_THAT(text, testing::StartsWith("the loss of step " + std::to_string(position / kBatch)));
    EXPECT_THAT(text, testing::HasSubstr("from lane " + std::to_string(lane) + " (samples"));
    EXPECT_THAT(text, testing::HasSubstr(std::to_string(kPoisoned)));
  }
}

TEST_F(NonfiniteTest, ARankThatEndsDuringAStepEndsTheOthersExchanges) {
  // Rank 1 can't read a sample; what the others' streams wait for never comes.
  TrainSetup setup{.model = kWide};
  setup.change = [](Job& job) {
    if (job.place.comm->rank() == 1) job.splits.train = std::make_shared<TornData>(job.splits.train);
  };
  try {
    TrainOnThreads(OnConnectedDevices(setup), 3, temporary_ / "run");
    ADD_FAILURE() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData) << error.what();
    EXPECT_THAT(error.message(), testing::HasSubstr("is torn"));
  }
}

/// Weights with which the poisoned sample has a finite loss and an infinite gradient: first-layer weights of 1e-30 undo
/// its features of 1e38, and the gradient that comes back through weights of 1e9 is multiplied by them.
void SetWeightsThatOverflow(const graph::Graph&, const engine::ParameterLayout& layout, float* arena) {
  std::fill_n(arena, layout.elements(), 0.0f);
  for (const engine::ArenaEntry& entry : layout.entries()) {
    if (entry.shape.rank() != 2) continue;
    const int64_t columns = entry.shape.dim(1);
    for (int64_t i = 0; i < entry.size(); ++i)
      arena[entry.offset + i] = columns == 20 ? 1e-30f : 1e9f * static_cast<float>(i / columns);
  }
}

TEST_F(NonfiniteTest, AGradientThatIsNotFiniteNamesTheLanesOfItsSum) {
  // The first step has it, before weights change.
  uint64_t seed = 0;
  while (PoisonedPositions(1, seed).empty()) ++seed;
  TrainSetup setup =
      Poisoned(1e38f, "steps: 15 global_batch: 24 lanes: 8 seed: " + std::to_string(seed), "sgd {} learning_rate: 0.1",
               [](Job& job) { job.model.initial_weights = SetWeightsThatOverflow; });
  setup.model = "mlp { hidden: 8 }";
  const uint64_t position = PoisonedPositions(1, seed).front();
  const int lane = static_cast<int>(position % kBatch / (kBatch / kLanes));
  for (int ranks : {1, 3, kLanes}) {
    std::string lanes;
    for (LaneRange run : DealLanes(kLanes, ranks))
      for (LaneRange node : MaximalNodes(kLanes, run))
        for (int l = node.begin; node.begin <= lane && lane < node.end && l < node.end; ++l)
          lanes += (lanes.empty() ? "" : ", ") + std::to_string(l);
    const std::string text = DivergenceOf(setup, ranks, temporary_ / std::to_string(ranks));
    EXPECT_THAT(text, testing::StartsWith("the gradient of step " + std::to_string(position / kBatch)));
    EXPECT_THAT(text, testing::HasSubstr("first in "));
    EXPECT_THAT(text, testing::HasSubstr((lanes.size() == 1 ? "from lane " : "from lanes ") + lanes + " (samples"));
    if (lanes.size() == 1) {
      EXPECT_THAT(text, testing::HasSubstr(std::to_string(kPoisoned)));
    }
  }
}

}  // namespace
}  // namespace lockstep::run
