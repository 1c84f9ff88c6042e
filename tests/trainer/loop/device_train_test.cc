// The whole trainer on emulated devices, with threads as ranks: the bits of a run don't depend on how many there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <thread>

#include "base/error.h"
#include "base/lane_tree.h"
#include "base/log.h"
#include "data/sampler.h"
#include "tests/trainer/loop/emulated_kit.h"
#include "tests/trainer/loop/stream_transport.h"
#include "tests/trainer/loop/train_world.h"
#include "trainer/checkpoint/checkpoint.pb.h"
#include "trainer/engine/op_view.h"

namespace lockstep::loop {
namespace {

void ExpectEqual(const TrainOutcome& a, const TrainOutcome& b) {
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.metrics, b.metrics);
  EXPECT_EQ(a.loop_state, b.loop_state);
  ASSERT_EQ(a.arrays.size(), b.arrays.size());
  for (const auto& [name, array] : a.arrays) {
    ASSERT_TRUE(b.arrays.count(name)) << name;
    const std::vector<float>& other = b.arrays.at(name);
    ASSERT_EQ(array.size(), other.size()) << name;
    EXPECT_EQ(std::memcmp(array.data(), other.data(), array.size() * sizeof(float)), 0) << name;
  }
}

TrainSetup OnDevices(TrainSetup setup) {
  setup.change = [then = std::move(setup.change)](Job& job) {
    UseKit(job, MakeEmulatedKit());
    if (then) then(job);
  };
  return setup;
}

/// The same with a device of its own for each rank, and exchanges that the host does not wait for. For one run.
TrainSetup OnConnectedDevices(TrainSetup setup) {
  auto mail = std::make_shared<StreamMail>();
  setup.change = [mail, then = std::move(setup.change)](Job& job) {
    const int rank = job.comm->rank();
    auto kit = MakeEmulatedKit(MakeEmulatedDevice(size_t{1} << 40, "EMULATED-" + std::to_string(rank)));
    kit->connect = [=](comm::Communicator&, lockstep::Device&) { return MakeStreamTransport(mail, rank); };
    UseKit(job, std::move(kit));
    if (then) then(job);
  };
  return setup;
}

struct Case {
  const char* name;
  TrainSetup setup;
  std::vector<std::string> arrays;  ///< that its checkpoints hold
};

constexpr char kWide[] = "mlp { hidden: 300 hidden: 40 }";  // five chunks of parameters

const Case kCases[] = {
    // The update is fused with the sum.
    {"Fused", {.model = kWide}, {"momentum", "weights"}},
    // The update follows after the global norm; evaluations swap averaged weights in, and steer.
    {"Clipped",
     {.train = "epochs: 3 global_batch: 24 lanes: 8 seed: 3 log_every_steps: 5 evaluate_every_steps: 4 "
               "early_stopping { patience: 2 }",
      .optimizer = "adamw {} learning_rate: 0.01 weight_decay: 0.1 clip_norm: 0.5 ema_decay: 0.9",
      .model = kWide,
      .checkpoint = "every_steps: 5"},
     {"adam.m", "adam.v", "best", "ema", "weights"}},
    // Statistics and noise; a step of seven lanes, and an epoch that ends within a step.
    {"Noisy",
     {.train = "steps: 15 global_batch: 28 lanes: 7 seed: 5",
      .model = "layers { layer { linear { features: 250 } } layer { batch_norm {} } layer { activation: GELU } "
               "layer { dropout: 0.3 } layer { linear {} } }"},
     {"momentum", "weights"}},
    {"Rounded",
     {.train = "steps: 8 global_batch: 24 lanes: 8 precision: BF16",
      .optimizer = "sgd { momentum: 0.9 nesterov: true } learning_rate: 0.05",
      .model = kWide},
     {"momentum", "weights"}},
};

class DeviceTrainTest : public testing::TestWithParam<Case> {
 protected:
  // Ranks of one process share its log; later ones write to the files of the last.
  ~DeviceTrainTest() override { StartLog("", true, 0); }
  TemporaryFolder temporary_;
};

TEST_P(DeviceTrainTest, AnyNumberOfRanksGivesTheSameBits) {
  const TrainSetup setup = OnDevices(GetParam().setup);
  const TrainOutcome one = TrainOnThreads(setup, 1, temporary_ / "1");
  EXPECT_NE(one.line.find("done name=small"), std::string::npos) << one.line;
  std::vector<std::string> arrays;
  for (const auto& [name, array] : one.arrays) arrays.push_back(name);
  EXPECT_EQ(arrays, GetParam().arrays);
  for (int ranks : {2, 3}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks");
    ExpectEqual(TrainOnThreads(setup, ranks, temporary_ / std::to_string(ranks)), one);
  }
}

TEST_P(DeviceTrainTest, ExchangesThatTheHostDoesNotWaitForGiveTheSameBits) {
  const TrainOutcome one = TrainOnThreads(OnDevices(GetParam().setup), 1, temporary_ / "1");
  for (int ranks : {2, 3, 5}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks");
    ExpectEqual(TrainOnThreads(OnConnectedDevices(GetParam().setup), ranks, temporary_ / std::to_string(ranks)), one);
  }
}

TEST_P(DeviceTrainTest, ARunGoesOnOnAnotherNumberOfRanks) {
  TrainSetup setup = OnDevices(GetParam().setup);
  if (setup.train.find("steps: ") != 0) GTEST_SKIP() << "its length is given in epochs";
  const TrainOutcome whole = TrainOnThreads(setup, 2, temporary_ / "whole");
  const std::string rest = setup.train.substr(setup.train.find(' ', 7));
  TrainSetup part = setup;
  part.train = "steps: 4" + rest;
  TrainOnThreads(part, 3, temporary_ / "parts");
  part.train = "steps: 6" + rest;
  TrainOnThreads(part, 1, temporary_ / "parts");
  const TrainOutcome last = TrainOnThreads(setup, 2, temporary_ / "parts");
  EXPECT_EQ(last.weights, whole.weights);
  EXPECT_EQ(last.arrays, whole.arrays);
}

TEST_P(DeviceTrainTest, TrainsToWhatTheHostTrainsTo) {
  TrainSetup setup = GetParam().setup;
  const bool rounded = setup.train.find("BF16") != std::string::npos;
  const TrainOutcome device = TrainOnThreads(OnDevices(setup), 2, temporary_ / "device");
  if (rounded) setup.train.replace(setup.train.find("BF16"), 4, "F32");
  const TrainOutcome host = TrainOnThreads(setup, 2, temporary_ / "host");
  EXPECT_NE(device.weights, host.weights) << "another order of sums";
  for (const auto& [name, array] : host.arrays) {
    const std::vector<float>& other = device.arrays.at(name);
    ASSERT_EQ(array.size(), other.size());
    double squares = 0, distance = 0;
    for (size_t i = 0; i < array.size(); ++i) {
      squares += double{array[i]} * array[i];
      distance += (double{array[i]} - other[i]) * (double{array[i]} - other[i]);
    }
    EXPECT_LE(std::sqrt(distance), (rounded ? 0.1 : 1e-3) * std::sqrt(squares)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Jobs, DeviceTrainTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

// --- Slow devices.

/// A backend whose kernels each begin late, on their stream: what does not wait for them goes ahead of them.
class LateBackend final : public engine::Backend {
 public:
  LateBackend(std::shared_ptr<engine::Backend> inner, DeviceStream& stream)
      : inner_(std::move(inner)), stream_(static_cast<EmulatedStream&>(stream)) {}

  std::string_view name() const override { return inner_->name(); }
  bool Supports(graph::OpKind kind) const override { return inner_->Supports(kind); }
  size_t WorkspaceBytes(const graph::Graph& graph, const graph::Op& op) override {
    return inner_->WorkspaceBytes(graph, op);
  }
  size_t PackedBytes(const graph::Graph& graph, const graph::Op& op, int input) override {
    return inner_->PackedBytes(graph, op, input);
  }
  int PackedLayout(const graph::Graph& graph, const graph::Op& op, int input) override {
    return inner_->PackedLayout(graph, op, input);
  }
  std::unique_ptr<engine::Kernel> PreparePack(const graph::Graph& graph, const graph::Op& op, int input,
                                              const void* plain, void* packed) override {
    return inner_->PreparePack(graph, op, input, plain, packed);
  }
  std::unique_ptr<engine::Kernel> Prepare(const graph::Graph& graph, const graph::Op& op,
                                          const engine::Operands& operands) override {
    return engine::MakeKernel([kernel = inner_->Prepare(graph, op, operands), this] {
      stream_.Enqueue([] { std::this_thread::sleep_for(kDelay); });
      kernel->Run();
    });
  }

 private:
  static constexpr auto kDelay = std::chrono::microseconds(100);

  std::shared_ptr<engine::Backend> inner_;
  EmulatedStream& stream_;
};

TEST_P(DeviceTrainTest, LateKernelsChangeNothing) {
  TrainSetup setup = GetParam().setup;
  const TrainOutcome one = TrainOnThreads(OnDevices(setup), 1, temporary_ / "1");
  setup.change = [](Job& job) {
    DeviceKit& kit = *job.device;
    job.backend = kit.backend = std::make_shared<LateBackend>(kit.backend, *kit.stream);
  };
  ExpectEqual(TrainOnThreads(OnDevices(setup), 1, temporary_ / "late"), one);
  SCOPED_TRACE("3 ranks");
  ExpectEqual(TrainOnThreads(OnConnectedDevices(setup), 3, temporary_ / "connected"), one);
}

/// Removes the run's checkpoints but that of `step`.
void KeepOnly(const std::filesystem::path& run, uint64_t step) {
  const std::string kept = fmt::format("step-{:08}", step);
  for (const auto& entry : std::filesystem::directory_iterator(run / "checkpoints"))
    if (entry.path().filename() != kept) std::filesystem::remove_all(entry.path());
}

TEST(SlowBus, ACheckpointHoldsItsStepThoughTheNextOneOvertakesItsCopy) {
  // A copy of owned state takes ten steps' time.
  TemporaryFolder temporary;
  TrainSetup setup{.optimizer = "adamw {} learning_rate: 0.01", .model = kWide, .checkpoint = "every_steps: 3 keep: 9"};
  const auto on_slow_bus = [](Job& job) {
    constexpr auto kCopyTime = std::chrono::microseconds(500);
    const std::string uuid = "EMULATED-" + std::to_string(job.comm->rank());
    UseKit(job, MakeEmulatedKit(MakeEmulatedDevice(size_t{1} << 40, uuid, kCopyTime)));
  };
  setup.change = on_slow_bus;
  TrainOnThreads(setup, 1, temporary / "slow");
  KeepOnly(temporary / "slow", 6);
  const TrainOutcome middle = OutcomeOf(temporary / "slow", "");
  setup.train = "steps: 6 global_batch: 24 lanes: 8";
  setup.change = nullptr;
  const TrainOutcome six = TrainOnThreads(OnDevices(setup), 1, temporary / "six");
  EXPECT_EQ(middle.arrays, six.arrays);
  StartLog("", true, 0);
}

// --- Numbers that are not finite.

constexpr uint64_t kPoisoned = 77;

/// Data of which one sample's features are all `value`, and its label 0.
class PoisonedData : public data::Dataset {
 public:
  PoisonedData(std::shared_ptr<const data::Dataset> whole, float value) : whole_(std::move(whole)), value_(value) {}
  uint64_t size() const override { return whole_->size(); }
  std::span<const data::Field> fields() const override { return whole_->fields(); }
  int classes() const override { return whole_->classes(); }
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
  int classes() const override { return whole_->classes(); }
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
    if (job.comm->rank() == 1) job.splits.train = std::make_shared<TornData>(job.splits.train);
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
void SetWeightsThatOverflow(const engine::ParameterLayout& layout, float* arena) {
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
               [](Job& job) { job.initial_weights = SetWeightsThatOverflow; });
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
}  // namespace lockstep::loop
