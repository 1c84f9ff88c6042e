#include "trainer/plan/job_plans.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "data/batches/blocks.h"
#include "trainer/engine/compile.h"

namespace lockstep::plan {
namespace {

// A bucket is folded, sent and updated at once: it fits the second-level cache. What fills and drains the exchange
// between hosts is the time of one bucket, so that a small arena has smaller ones.
constexpr int64_t kBucketChunks = 64, kLeastBucketChunks = 16, kBuckets = 64;
// A device's: 16 MiB, so that a message is worth its start, and enough of them to overlap.
constexpr int64_t kDeviceBucketElements = 1024 * kChunkElements;

/// Elements of a bucket of an arena.
int64_t BucketElements(int64_t elements, Device::Value device) {
  if (device == Device::GPU) return kDeviceBucketElements;
  return kChunkElements * std::clamp(ChunkCount(elements) / kBuckets, kLeastBucketChunks, kBucketChunks);
}

/// Those of all splits that are evaluated.
std::vector<data::BatchShape> EvaluationShapes(const Splits& splits, const TrainConfig& config) {
  std::vector<const data::Dataset*> evaluated = {splits.reported().get()};
  if (splits.validation) evaluated.push_back(splits.validation.get());
  return data::EvaluationShapes(evaluated, *splits.transform, config.evaluation_block());
}

/// What the loader delivers as bytes.
std::optional<passes::ByteInput> ByteInputOf(const data::Transform& transform) {
  const data::Normalizer* const normalizer = transform.normalizer();
  if (normalizer == nullptr) return std::nullopt;
  passes::ByteInput input{.image = transform.fields().front().name, .inside = data::kFilledField, .attributes = {}};
  input.attributes.scale = normalizer->scale;
  std::ranges::copy(normalizer->mean, input.attributes.mean.begin());
  std::ranges::copy(normalizer->deviation, input.attributes.deviation.begin());
  return input;
}

}  // namespace

std::vector<std::string> RoundedInputs(const engine::ProgramPlan& program) {
  std::vector<std::string> names;
  for (const graph::Value& value : program.graph.values)
    if (value.role == graph::Role::kInput && value.dtype == DType::kBF16) names.push_back(value.name);
  return names;
}

int JobPlans::TrainProgram(uint64_t step, int shape) const {
  const auto thawed = static_cast<int>(std::ranges::upper_bound(thaws, step) - thaws.begin());
  return thawed * static_cast<int>(train.size() / (thaws.size() + 1)) + shape;
}

std::set<std::string> FrozenParameters(const graph::Model& model, const optim::OptimizerConfig& config, uint64_t step) {
  std::set<std::string> frozen;
  for (const graph::ParameterInfo& info : model.parameters) {
    const std::string& name = model.graph.value(info.value).name;
    if (optim::SegmentFor(config, name, info.decay, 0, 0).FrozenAt(step)) frozen.insert(name);
  }
  return frozen;
}

std::set<std::string> FrozenStatistics(const graph::Model& model, const optim::OptimizerConfig& config, uint64_t step) {
  std::set<std::string> frozen;
  for (const graph::StatisticUpdate& update : model.graph.statistic_updates) {
    const std::string& name = model.graph.value(update.statistic).name;
    if (optim::StatisticSegment(config, name, update.momentum, 0, 0).FrozenAt(step)) frozen.insert(name);
  }
  return frozen;
}

std::vector<optim::Segment> MakeSegments(const JobPlans& plans, const optim::OptimizerConfig& config) {
  const graph::Model& model = plans.model;
  std::vector<optim::Segment> segments;
  for (const engine::ArenaEntry& entry : plans.layout.entries()) {
    if (entry.statistic) {
      // One that no lane moves has no segment: it stays.
      for (const graph::StatisticUpdate& update : model.graph.statistic_updates)
        if (update.statistic == entry.value)
          segments.push_back(
              optim::StatisticSegment(config, entry.name, update.momentum, entry.offset, entry.offset + entry.size()));
      continue;
    }
    const auto info = std::find_if(model.parameters.begin(), model.parameters.end(),
                                   [&](const graph::ParameterInfo& p) { return p.value == entry.value; });
    CHECK(info != model.parameters.end());
    segments.push_back(optim::SegmentFor(config, entry.name, info->decay, entry.offset, entry.offset + entry.size()));
  }
  return segments;
}

std::vector<std::string> StateArrays(const optim::Optimizer& optimizer, const TrainConfig& config) {
  std::vector<std::string> arrays = optimizer.state_names();
  if (config.has_early_stopping()) arrays.push_back("best");
  return arrays;
}

bool KeepsSums(const optim::Optimizer& optimizer, const TrainConfig& config) {
  return optimizer.clips() || config.on_nonfinite() == OnNonfinite::SKIP_STEP;
}

optim::Optimizer MakeOptimizer(const RunConfig& config, const JobPlans& plans) {
  return {config.optimizer, MakeSegments(plans, config.optimizer), plans.length,
          static_cast<int>(config.train.lanes())};
}

JobPlans CompileJob(const RunConfig& config, const Splits& splits, const ModelSpec& model, engine::Backend& backend,
                    int ranks) {
  const std::span<const data::BatchShape> shapes = splits.batches->shapes();
  graph::Model largest = model.build(graph::Mode::kTrain, shapes.back());
  engine::ParameterLayout layout(largest.graph);
  JobPlans plans{std::move(largest),
                 layout,
                 comm::CutBuckets(layout.elements(), BucketElements(layout.elements(), config.train.device())),
                 {},
                 {},
                 EvaluationShapes(splits, config.train),
                 splits.length,
                 optim::ThawSteps(config.optimizer)};
  engine::CompileOptions train, evaluate;
  train.activations = config.train.precision() == Precision::BF16 ? DType::kBF16 : DType::kF32;
  train.bytes = ByteInputOf(*splits.transform);
  evaluate.activations = train.activations;
  evaluate.bytes = train.bytes;
  train.buckets = plans.buckets;
  train.recompute_activations = config.train.recompute_activations();
  train.runs_on_same_weights = std::max(1, static_cast<int>(config.train.lanes()) / ranks);
  evaluate.mode = graph::Mode::kEvaluate;
  const auto compile = [&](const data::BatchShape& shape, const engine::CompileOptions& options) {
    const graph::Model of = model.build(options.mode, shape);
    return std::make_shared<engine::ProgramPlan>(engine::Compile(of.graph, plans.layout, backend, options));
  };
  std::vector<uint64_t> stages = {0};
  stages.insert(stages.end(), plans.thaws.begin(), plans.thaws.end());
  for (const uint64_t step : stages) {
    train.frozen = FrozenParameters(plans.model, config.optimizer, step);
    train.frozen_statistics = FrozenStatistics(plans.model, config.optimizer, step);
    for (const data::BatchShape& shape : shapes) plans.train.push_back(compile(shape, train));
  }
  for (const data::BatchShape& shape : plans.evaluation_shapes) plans.evaluate.push_back(compile(shape, evaluate));
  return plans;
}

DType WireType(const TrainConfig& config) { return config.wire() == Wire::BF16 ? DType::kBF16 : DType::kF32; }

comm::ExchangeOptions MakeExchangeOptions(const TrainConfig& config, const JobPlans& plans, comm::LanePlan plan) {
  return {static_cast<int>(config.lanes()), std::move(plan), plans.buckets, WireType(config)};
}

bool SavesMeanwhile(const checkpoint::CheckpointConfig& config) {
  return config.every_steps() > 0 || config.every_minutes() > 0 || config.when() == checkpoint::BEST;
}

}  // namespace lockstep::plan
