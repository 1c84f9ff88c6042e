// Images go up to a device as bytes: the bits of training are those of floats that the host made of them.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/local/local_communicator.h"
#include "data/batches/make_batches.h"
#include "data/open/make_transform.h"
#include "data/open/open_dataset.h"
#include "tests/trainer/run/device_setups.h"
#include "tests/trainer/run/train_world.h"
#include "trainer/models/models.h"
#include "trainer/step/device/device_memory.h"

namespace lockstep::run {
namespace {

// 16 rows of 16 x 16 pixels of 3 channels: 12 KiB of bytes.
constexpr int64_t kSide = 16, kRows = 16;

/// In place of the small job's features: images, shifted and mirrored.
void TakeImages(Job& job) {
  constexpr char kSource[] = "synthetic { samples: %d image { height: 16 width: 16 channels: 3 } classes: 4 }";
  const auto open = [&](data::Source& source, int samples) {
    char text[sizeof kSource + 8];
    std::snprintf(text, sizeof text, kSource, samples);
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &source));
    return std::shared_ptr<const data::Dataset>(data::OpenDataset(source, "data", job.config.train.seed()));
  };
  CHECK(google::protobuf::TextFormat::MergeFromString(
      "normalize { mean: [0.49, 0.48, 0.44] deviation: [0.247, 0.244, 0.262] } augment { shift: 3 flip: true }",
      &job.config.data));
  job.splits.train = open(*job.config.data.mutable_train(), 150);
  job.splits.test = open(*job.config.data.mutable_test(), 20);
  job.splits.transform = data::MakeTransform(job.splits.train->fields(), job.config.data, job.config.train.seed());
  job.splits.batches = data::MakeBatches(job.splits.train, job.splits.transform,
                                         {.seed = job.config.train.seed(),
                                          .lanes = static_cast<int>(job.config.train.lanes()),
                                          .global_batch = job.config.train.global_batch()});
  job.model.build = [](graph::Mode mode, const data::BatchShape& batch) {
    models::ModelConfig model;
    CHECK(google::protobuf::TextFormat::ParseFromString("mlp { hidden: 8 }", &model));
    return models::Build(model, {.input = "image", .sample = {kSide, kSide, 3}, .classes = 4}, mode, batch.rows);
  };
}

TrainSetup Images(bool bytes, const std::string& train = "") {
  TrainSetup setup{.train = "steps: 3 global_batch: 48 lanes: 3 evaluation_block: 16 " + train};
  setup.change = [bytes](Job& job) {
    TakeImages(job);
    if (bytes) plan::DeliverBytes(job.splits);
    EXPECT_EQ(job.splits.transform->normalizer() != nullptr, bytes);
  };
  return setup;
}

class PixelsTest : public testing::TestWithParam<const char*> {
 protected:
  // Ranks of one process share its log; later ones write to the files of the last.
  ~PixelsTest() override { StartLog("", true, 0); }
  TemporaryFolder temporary_;
};

TEST_P(PixelsTest, TrainingHasTheBitsOfTheHostsFloatsAtAnyNumberOfRanks) {
  const TrainOutcome floats = TrainOnThreads(OnDevices(Images(false, GetParam())), 1, temporary_ / "floats");
  EXPECT_NE(floats.line.find("done name=small"), std::string::npos) << floats.line;
  for (const int ranks : {1, 2, 3})
    ExpectEqual(floats, TrainOnThreads(OnDevices(Images(true, GetParam())), ranks, temporary_ / std::to_string(ranks)));
}

INSTANTIATE_TEST_SUITE_P(Precisions, PixelsTest, testing::Values("precision: F32", "precision: BF16"));

/// Bytes that go up for a lane, and what the device holds of batches.
struct Upload {
  size_t lane = 0;
  int64_t held = 0;
};

Upload UploadOf(const TrainSetup& setup) {
  const auto world = comm::MakeLocalWorld({});
  Job job = MakeSmallJob(setup, *world.front());
  const plan::JobPlans plans = plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, 1);
  return {plans.train.front()->input_bytes, step::PlanDeviceMemory(job.config, plans, {0, 3}, 0, 1).inputs};
}

TEST(PixelsUpload, AQuarterOfTheFloatsOrHalfOfTheRoundedOnes) {
  // A page each: labels, the step block (of training alone), and edges beside bytes.
  constexpr size_t kPage = kBufferAlignment, kImages = kRows * kSide * kSide * 3;
  EXPECT_EQ(UploadOf(OnDevices(Images(false, "precision: F32"))).lane, 4 * kImages + 2 * kPage);
  EXPECT_EQ(UploadOf(OnDevices(Images(false, "precision: BF16"))).lane, 2 * kImages + 2 * kPage);
  for (const char* precision : {"precision: F32", "precision: BF16"}) {
    const Upload bytes = UploadOf(OnDevices(Images(true, precision)));
    EXPECT_EQ(bytes.lane, kImages + 3 * kPage);
    // Of training two more on their way up, of evaluation one.
    EXPECT_EQ(bytes.held, static_cast<int64_t>(3 * (kImages + 3 * kPage) + 2 * (kImages + 2 * kPage)));
  }
}

}  // namespace
}  // namespace lockstep::run
