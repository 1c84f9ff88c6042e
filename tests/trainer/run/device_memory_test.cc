// The plan of a device's memory, against arithmetic by hand and against what training allocates.
#include "trainer/step/device/device_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "base/error.h"
#include "base/log.h"
#include "comm/local/local_communicator.h"
#include "tests/trainer/run/emulated_kit.h"
#include "tests/trainer/run/train_world.h"
#include "trainer/run/train.h"

namespace lockstep::run {
namespace {

/// What has been allocated of a device.
struct Use {
  std::atomic<int> allocations = 0;
  std::atomic<size_t> now = 0, most = 0;
};

/// An emulated device that notes its use.
class NotingDevice final : public lockstep::Device {
 public:
  NotingDevice(size_t memory, std::shared_ptr<Use> use) : inner_(MakeEmulatedDevice(memory)), use_(std::move(use)) {}

  const DeviceInfo& info() const override { return inner_->info(); }
  size_t free_memory() const override { return inner_->free_memory(); }
  std::unique_ptr<DeviceMemory> Allocate(size_t bytes, const std::string& what) override {
    std::unique_ptr<DeviceMemory> memory = inner_->Allocate(bytes, what);
    ++use_->allocations;
    use_->most = std::max<size_t>(use_->most, info().memory - free_memory());
    return memory;
  }
  std::unique_ptr<DeviceMemory> AllocatePinned(size_t bytes) override { return inner_->AllocatePinned(bytes); }
  std::unique_ptr<DeviceStream> MakeStream() override { return inner_->MakeStream(); }
  std::unique_ptr<DeviceEvent> MakeEvent() override { return inner_->MakeEvent(); }
  void UseOnThisThread() override { inner_->UseOnThisThread(); }

 private:
  std::unique_ptr<lockstep::Device> inner_;
  std::shared_ptr<Use> use_;
};

// 20 features, 300, 100, 4 classes. Each parameter begins at a multiple of 16 elements:
// 6000 + 304 + 30000 + 112 + 400 + 16 = 36832 elements, which end in the ninth chunk of 4096.
constexpr char kModel[] = "mlp { hidden: 300 hidden: 100 }";
constexpr int64_t kChunk = kChunkElements * sizeof(float), kArena = 9 * kChunk;

/// The plan of `rank` of a job with 8 lanes.
step::DeviceMemoryPlan PlanOf(TrainSetup setup, int rank, int ranks) {
  setup.model = kModel;
  const auto world = comm::MakeLocalWorld({});
  Job job = MakeSmallJob(setup, *world.front());
  UseKit(job, MakeEmulatedKit());
  const plan::JobPlans plans =
      plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, job.place.comm->world_size());
  const int lanes = static_cast<int>(job.config.train.lanes());
  return step::PlanDeviceMemory(job.config, plans, DealLanes(lanes, ranks)[static_cast<size_t>(rank)], rank, ranks);
}

TEST(DeviceMemory, OfOneRankByHand) {
  const step::DeviceMemoryPlan plan = PlanOf({}, 0, 1);
  EXPECT_EQ(plan.parameters, kArena);
  // The sum over lanes, a lane's own, and two that wait in the tree over eight lanes: of 4 and of 2.
  EXPECT_EQ(plan.gradients, 4 * kArena);
  EXPECT_EQ(plan.optimizer, kArena) << "momentum";
  // Features, labels and the step block of a lane, features and labels of an evaluation's block, each less than a page
  // and at the begin of one; on their way up two of the first kind, and one of the other.
  EXPECT_EQ(plan.inputs, (3 + 2) * 4096 + (2 * 3 + 2) * 4096);
  // What is computed of 3 samples and of 16 of them: 300 and 100 values a sample, and as many gradients.
  EXPECT_GE(plan.activations, 16 * 400 * 4);
  EXPECT_LE(plan.activations, 2 * 16 * 404 * 4 + 4096);
}

TEST(DeviceMemory, OfOneOfThreeRanksByHand) {
  // Lanes 3 to 5 of 8: nodes [3, 4) and [4, 6); [0, 2) and [2, 3) of rank 0, and [6, 8) of rank 2 come from there, of
  // a third of the arena.
  const step::DeviceMemoryPlan plan = PlanOf({}, 1, 3);
  EXPECT_EQ(plan.parameters, kArena);
  EXPECT_EQ(plan.gradients, (2 + 1) * kArena + 3 * 3 * kChunk);
  EXPECT_EQ(plan.optimizer, 3 * kChunk);
}

TEST(DeviceMemory, OneLaneARankIsWrittenWhereItIsSentFrom) {
  const step::DeviceMemoryPlan plan = PlanOf({}, 7, 8);
  // The last of eight owns one chunk of nine; seven others send theirs.
  EXPECT_EQ(plan.gradients, kArena + 7 * kChunk);
  EXPECT_EQ(plan.optimizer, kChunk);
}

TEST(DeviceMemory, OwnedStateGrowsWithOptimizerAverageAndBestWeights) {
  const std::string train = "steps: 12 global_batch: 24 lanes: 8 ";
  const auto arrays = [&](const std::string& more, const std::string& optimizer) {
    return PlanOf({.train = train + more, .optimizer = optimizer}, 0, 1).optimizer / kArena;
  };
  EXPECT_EQ(arrays("", "sgd {} learning_rate: 0.1"), 0);
  EXPECT_EQ(arrays("", "sgd { momentum: 0.9 } learning_rate: 0.1"), 1);
  EXPECT_EQ(arrays("", "adam {} learning_rate: 0.1"), 2);
  EXPECT_EQ(arrays("", "adam {} learning_rate: 0.1 ema_decay: 0.9"), 3);
  EXPECT_EQ(arrays("early_stopping { patience: 1 }", "adam {} learning_rate: 0.1 ema_decay: 0.9"), 4);
  EXPECT_EQ(arrays("", "sgd {} learning_rate: 0.1 clip_norm: 1"), 1) << "the sums wait for the norm";
  EXPECT_EQ(arrays("on_nonfinite: SKIP_STEP", "sgd {} learning_rate: 0.1"), 1);
  EXPECT_EQ(arrays("on_nonfinite: SKIP_STEP", "sgd {} learning_rate: 0.1 clip_norm: 1"), 1);
}

TEST(DeviceMemory, HalfTheBytesOfActivationsInBf16) {
  const std::string train = "steps: 12 global_batch: 24 lanes: 8 ";
  const step::DeviceMemoryPlan f32 = PlanOf({.train = train + "precision: F32"}, 0, 1),
                               bf16 = PlanOf({.train = train + "precision: BF16"}, 0, 1);
  EXPECT_EQ(bf16.parameters, f32.parameters);
  EXPECT_EQ(bf16.gradients, f32.gradients);
  EXPECT_LT(bf16.activations, f32.activations);
}

TEST(DeviceMemory, ThePlanNamesAllItsParts) {
  const std::string text = PlanOf({}, 0, 1).ToString();
  for (const char* part : {"parameters 0.1 MiB", "gradients 0.6 MiB", "optimizer 0.1 MiB", "activations", "workspace",
                           "packed weights", "inputs", "tables"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

// --- Against what training allocates.

class DeviceMemoryTest : public testing::TestWithParam<const char*> {
 protected:
  // Ranks of one process share its log; later ones write to the files of the last.
  ~DeviceMemoryTest() override { StartLog("", true, 0); }

  /// Jobs whose ranks each have a device of `factor` times what the plan says.
  TrainSetup SetupWith(double factor) {
    TrainSetup setup{.train = std::string("steps: 6 global_batch: 24 lanes: 8 ") + GetParam(),
                     .optimizer = "adamw {} learning_rate: 0.01 clip_norm: 0.5 ema_decay: 0.9",
                     .model = kModel};
    setup.change = [this, factor](Job& job) {
      const int rank = job.place.comm->rank(), ranks = job.place.comm->world_size();
      UseKit(job, MakeEmulatedKit());
      const LaneRange run = DealLanes(static_cast<int>(job.config.train.lanes()), ranks)[static_cast<size_t>(rank)];
      const int64_t planned = step::PlanDeviceMemory(job.config,
                                                     plan::CompileJob(job.config, job.splits, job.model,
                                                                      *job.place.backend, job.place.comm->world_size()),
                                                     run, rank, ranks)
                                  .all();
      auto use = std::make_shared<Use>();
      const auto memory = static_cast<size_t>(factor * static_cast<double>(planned));
      UseKit(job, MakeEmulatedKit(std::make_unique<NotingDevice>(memory, use)));
      const std::lock_guard lock(mutex_);
      used_.emplace_back(memory, std::move(use));
    };
    return setup;
  }

  TemporaryFolder temporary_;
  std::mutex mutex_;
  std::vector<std::pair<size_t, std::shared_ptr<Use>>> used_;  ///< memory of each rank's device, and its use
};

TEST_P(DeviceMemoryTest, TrainingTakesWhatThePlanSays) {
  for (int ranks : {1, 2, 3, 8}) {
    used_.clear();
    TrainOnThreads(SetupWith(1), ranks, temporary_ / std::to_string(ranks));
    ASSERT_EQ(used_.size(), static_cast<size_t>(ranks));
    for (const auto& [memory, use] : used_) EXPECT_EQ(use->most, memory) << ranks << " ranks";
  }
}

TEST_P(DeviceMemoryTest, WithLessItIsRefusedBeforeAnythingIsAllocated) {
  for (int ranks : {1, 3}) {
    used_.clear();
    try {
      TrainOnThreads(SetupWith(0.9), ranks, temporary_ / std::to_string(ranks));
      ADD_FAILURE() << "trained with too little";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kMemory) << error.what();
      EXPECT_THAT(error.message(), testing::AllOf(testing::HasSubstr("of device memory are needed"),
                                                  testing::HasSubstr("are free"), testing::HasSubstr("parameters")));
    }
    for (const auto& [memory, use] : used_) EXPECT_EQ(use->allocations, 0) << ranks << " ranks";
  }
}

INSTANTIATE_TEST_SUITE_P(Jobs, DeviceMemoryTest,
                         testing::Values("", "precision: BF16 on_nonfinite: SKIP_STEP early_stopping { patience: 3 }"));

}  // namespace
}  // namespace lockstep::run
