#include "launch/job_setup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/open_dataset.h"
#include "data/transform.h"
#include "launch/gpu.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::launch {
namespace {

Isa IsaOf(loop::InstructionSet::Value isa) {
  switch (isa) {
    case loop::InstructionSet::AMX:
      return Isa::kAmx;
    case loop::InstructionSet::AVX512:
      return Isa::kAvx512;
    case loop::InstructionSet::AVX2:
      return Isa::kAvx2;
    default:
      return Isa::kGeneric;
  }
}

/// Backends are chosen here, and nowhere else.
void SetBackend(const Recipe& recipe, std::shared_ptr<loop::DeviceKit> device, loop::Job& job) {
  const loop::TrainConfig& train = recipe.train();
  if (train.device() == loop::Device::GPU) {
    job.device = device ? device : OpenGpu(job.comm->topology(), train.precision() == loop::Precision::TF32);
    job.backend = job.device->backend;
    job.backend_version = job.device->version;
    job.executors = 1;
    return;
  }
  job.backend = MakeOneDnnBackend({static_cast<int>(train.lane_threads()), IsaOf(train.isa())});
  job.backend_version = "oneDNN " + OneDnnVersion();
}

metrics::Task TaskOf(const models::DataShape& shape) {
  if (shape.input == "tokens") return metrics::Task::kLanguageModel;
  return shape.classes > 0 ? metrics::Task::kClassification : metrics::Task::kRegression;
}

}  // namespace

models::DataShape DataShapeOf(const loop::Splits& splits) {
  models::DataShape shape;
  for (const data::Field& field : splits.transform->fields()) {
    if (field.name == "label") {
      shape.classes = splits.train->classes();
    } else if (field.name == "target") {
      shape.targets = static_cast<int>(field.shape.dim(0));
    } else {
      shape.input = field.name;
      shape.sample = field.shape;
    }
  }
  return shape;
}

data::BatchOptions BatchOptionsOf(const loop::TrainConfig& train) {
  return {.seed = train.seed(), .lanes = static_cast<int>(train.lanes()), .global_batch = train.global_batch(), .batch_tokens = train.batch_tokens()};
}

loop::Splits OpenSplits(const Recipe& recipe) {
  const data::DataConfig& config = recipe.data();
  const uint64_t seed = recipe.train().seed();
  loop::Splits splits;
  data::TextOptions text{data::OpenTokenizer(config), config.block(), /*training=*/true, data::MakeSpeechOptions(config), config.longest()};
  splits.train = data::OpenDataset(config.train(), "data.train", seed, config.verify(), text);
  text.training = false;
  const auto open_other = [&](const data::Source& source, const std::string& path) {
    std::shared_ptr<const data::Dataset> split = data::OpenDataset(source, path, seed, config.verify(), text);
    data::CheckCompatible(*splits.train, *split, path);
    return split;
  };
  if (config.has_validation()) splits.validation = open_other(config.validation(), "data.validation");
  if (config.has_test()) splits.test = open_other(config.test(), "data.test");
  splits.transform = data::MakeTransform(splits.train->fields(), config, seed);
  splits.batches = data::MakeBatches(splits.train, splits.transform, BatchOptionsOf(recipe.train()));
  if (recipe.train().global_batch() > splits.train->size())
    throw Error(ErrorKind::kUsage,
                fmt::format("{} is more than the {} training samples", recipe.train().global_batch(), splits.train->size()),
                "train.global_batch", "lower it, or give more data");
  return splits;
}

loop::Job MakeJob(const Recipe& recipe, comm::Communicator& comm, std::shared_ptr<loop::DeviceKit> device) {
  loop::Job job;
  job.name = recipe.name();
  job.train = recipe.train();
  job.data = recipe.data();
  job.optimizer = recipe.optimizer();
  job.checkpoint = recipe.checkpoint();
  job.watchdog = recipe.watchdog();
  job.comm = &comm;
  job.splits = OpenSplits(recipe);

  const models::DataShape shape = DataShapeOf(job.splits);
  job.task = TaskOf(shape);
  models::Validate(recipe.model(), shape);
  job.build_model = [model = recipe.model(), shape](graph::Mode mode, const data::BatchShape& batch) {
    return models::Build(model, shape, mode, batch.rows, batch.places);
  };
  SetBackend(recipe, std::move(device), job);

  job.recipe.resolved = ToText(recipe);
  job.recipe.identity = ToText(IdentityOf(recipe));
  job.recipe.describe_difference = [](const std::string& a, const std::string& b) {
    return fmt::format("{}", fmt::join(DifferingFields(ParseRecipe(a, "recipe", ".", {}), ParseRecipe(b, "recipe", ".", {})), ", "));
  };
  job.recipe.check_continues = [recipe](const std::string& before, bool change_numerics) {
    CheckContinues(ParseRecipe(before, "recipe.textproto", ".", {}), recipe, change_numerics);
  };
  return job;
}

}  // namespace lockstep::launch
