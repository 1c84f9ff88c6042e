// The whole trainer on emulated devices, with threads as ranks: the bits of a run don't depend on how many there are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "tests/trainer/run/device_setups.h"
#include "tests/trainer/run/emulated_kit.h"
#include "tests/trainer/run/late_backend.h"
#include "tests/trainer/run/train_world.h"

namespace lockstep::run {
namespace {

struct Case {
  const char* name;
  TrainSetup setup;
  std::vector<std::string> arrays;  ///< that its checkpoints hold
};

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
    // Two layers are frozen and thawed, one of them with its norm's statistics. A run that goes on does so before and
    // behind it. (A bias before batch norm has a gradient of noise alone, which Adam makes steps of.)
    {"Thawed",
     {.train = "steps: 9 global_batch: 24 lanes: 8 seed: 5",
      .optimizer = "adamw {} learning_rate: 0.01 clip_norm: 0.5 "
                   "groups { pattern: 'first*' frozen: true frozen_statistics: true thaw_at_step: 5 } "
                   "groups { pattern: 'second*' frozen: true thaw_at_step: 3 }",
      .model = "layers { layer { name: 'first' linear { features: 250 bias: false } } layer { name: 'first_norm' "
               "batch_norm {} } "
               "layer { activation: RELU } layer { name: 'second' linear { features: 20 bias: false } } layer { "
               "batch_norm {} } "
               "layer { activation: GELU } layer { linear {} } }"},
     {"adam.m", "adam.v", "weights"}},
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

TEST_P(DeviceTrainTest, LateKernelsChangeNothing) {
  TrainSetup setup = GetParam().setup;
  const TrainOutcome one = TrainOnThreads(OnDevices(setup), 1, temporary_ / "1");
  setup.change = [](Job& job) {
    step::DeviceKit& kit = *job.place.device;
    job.place.backend = kit.backend = MakeLateBackend(kit);
  };
  ExpectEqual(TrainOnThreads(OnDevices(setup), 1, temporary_ / "late"), one);
  SCOPED_TRACE("3 ranks");
  ExpectEqual(TrainOnThreads(OnConnectedDevices(setup), 3, temporary_ / "connected"), one);
}

TEST(DeviceTrain, UpdatesOfABucketBesideTheLanesThatMakeTheNextChangeNothing) {
  // 4.3 million parameters: two buckets.
  TemporaryFolder temporary;
  TrainSetup setup{.train = "steps: 2 global_batch: 2 lanes: 2", .model = "mlp { hidden: 2060 hidden: 2060 }"};
  // Here the host waits for lanes first.
  const TrainOutcome staged = TrainOnThreads(OnDevices(setup), 2, temporary / "staged");
  setup.change = [](Job& job) { job.place.backend = job.place.device->backend = MakeLateBackend(*job.place.device); };
  for (int ranks : {1, 2}) {
    SCOPED_TRACE(testing::Message() << ranks << " ranks");
    ExpectEqual(TrainOnThreads(OnConnectedDevices(setup), ranks, temporary / std::to_string(ranks)), staged);
  }
  StartLog("", true, 0);
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
    const std::string uuid = "EMULATED-" + std::to_string(job.place.comm->rank());
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

}  // namespace
}  // namespace lockstep::run
