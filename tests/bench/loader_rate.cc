// How many pictures a second the loader makes ready: loader_rate LIST THREADS SECONDS [SIDE]. LIST is a CSV of path and
// class (data.train.folder.list); pictures are cut and resized at random to SIDE x SIDE (224), mirrored and normalised.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include "base/error.h"
#include "data/batches/loader.h"
#include "data/batches/make_batches.h"
#include "data/open/make_transform.h"
#include "data/open/open_dataset.h"

namespace lockstep::data {
namespace {

double Rate(const char* list, int threads, double seconds, uint32_t side) {
  constexpr int kLanes = 4;
  constexpr uint64_t kBatch = 64;
  DataConfig config;
  config.mutable_train()->mutable_folder()->set_list(list);
  config.mutable_pictures()->set_height(side);
  config.mutable_augment()->mutable_random_resized_crop();
  config.mutable_augment()->set_flip(true);
  for (const double mean : {0.485, 0.456, 0.406}) config.mutable_normalize()->add_mean(mean);
  for (const double deviation : {0.229, 0.224, 0.225}) config.mutable_normalize()->add_deviation(deviation);
  const std::shared_ptr<const Dataset> dataset = OpenDataset(config.train(), "data.train", 1);
  const std::shared_ptr<const Transform> transform = MakeTransform(dataset->fields(), config, 1);
  const std::shared_ptr<const Batches> batches =
      MakeBatches(dataset, transform, {.seed = 1, .lanes = kLanes, .global_batch = kBatch});
  Loader loader({.dataset = dataset,
                 .transform = transform,
                 .batches = batches,
                 .mine = {0, kLanes},
                 .end_step = UINT64_MAX / 2,
                 .threads = threads});
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin;
  uint64_t images = 0;
  for (uint64_t step = 0;; ++step) {
    if (step == 2) begin = Clock::now();  // the first ones wait for threads and files
    for (int lane = 0; lane < kLanes; ++lane) {
      const LaneBatch* batch = loader.Acquire(step, lane);
      if (step >= 2) images += static_cast<uint64_t>(batch->rows());
      loader.Release(batch);
    }
    const std::chrono::duration<double> passed = Clock::now() - begin;
    if (step >= 2 && passed.count() > seconds) return static_cast<double>(images) / passed.count();
  }
}

}  // namespace
}  // namespace lockstep::data

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: loader_rate LIST THREADS SECONDS [SIDE]\n", stderr);
    return 2;
  }
  try {
    constexpr uint32_t kSide = 224;
    const uint32_t side = argc > 4 ? static_cast<uint32_t>(std::atoi(argv[4])) : kSide;
    fmt::print("{:.1f}\n", lockstep::data::Rate(argv[1], std::atoi(argv[2]), std::atof(argv[3]), side));
  } catch (const lockstep::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
