#include "trainer/plan/job_plans.h"

#include <algorithm>

#include "base/error.h"
#include "trainer/plan/memory_estimate.h"

namespace lockstep::plan {
namespace {

// A bucket is folded, sent and updated at once: it fits the second-level cache.
constexpr int64_t kBucketElements = 64 * kChunkElements;
// A device's: 16 MiB, so that a message is worth its start, and enough of them to overlap.
constexpr int64_t kDeviceBucketElements = 1024 * kChunkElements;

/// Those of all splits that are evaluated.
std::vector<data::BatchShape> EvaluationShapes(const Job& job) {
  std::vector<const data::Dataset*> splits = {job.splits.reported().get()};
  if (job.splits.validation) splits.push_back(job.splits.validation.get());
  return data::EvaluationShapes(splits, *job.splits.transform, job.train.evaluation_block());
}

/// Places of `step`'s recordings, whether they differ in length or not.
uint64_t PlacesOf(const Job& job, uint64_t step) {
  const data::Batches& batches = *job.splits.batches;
  if (job.splits.train->ragged()) return batches.Places(step);
  const auto places = static_cast<uint64_t>(job.splits.transform->fields().front().shape[0]);
  return (batches.FirstPosition(step + 1) - batches.FirstPosition(step)) * places;
}

std::string Mebibytes(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

}  // namespace

std::set<std::string> FrozenParameters(const graph::Model& model, const optim::OptimizerConfig& config) {
  std::set<std::string> frozen;
  for (const graph::ParameterInfo& info : model.parameters) {
    const std::string& name = model.graph.value(info.value).name;
    if (optim::SegmentFor(config, name, info.decay, 0, 0).frozen) frozen.insert(name);
  }
  return frozen;
}

std::vector<optim::Segment> MakeSegments(const JobPlans& plans, const optim::OptimizerConfig& config) {
  const graph::Model& model = plans.model;
  std::vector<optim::Segment> segments;
  for (const engine::ArenaEntry& entry : plans.layout.entries()) {
    if (entry.statistic) {
      for (const graph::StatisticUpdate& update : model.graph.statistic_updates)
        if (update.statistic == entry.value) {
          optim::Segment segment;
          segment.begin = entry.offset;
          segment.end = entry.offset + entry.size();
          segment.statistic_momentum = update.momentum;
          segments.push_back(segment);
        }
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

uint64_t TokensOf(const Job& job, uint64_t step) {
  switch (job.task) {
    case metrics::Task::kLanguageModel:
    case metrics::Task::kTranslation:
      return job.splits.batches->Denominator(step);
    case metrics::Task::kSpeech:
      return PlacesOf(job, step);
    default:
      return 0;
  }
}

uint64_t TotalSteps(const TrainConfig& config, const data::Batches& batches) {
  const uint64_t steps = config.steps() > 0 ? config.steps() : batches.Steps(config.epochs());
  if (steps == 0)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("the run has no steps: {} epochs of {:.3g} steps", config.epochs(), batches.steps_per_epoch()),
        "train", "set train.epochs or train.steps");
  return steps;
}

optim::RunLength LengthOf(const Job& job) {
  return {TotalSteps(job.train, *job.splits.batches), job.splits.batches->steps_per_epoch()};
}

JobPlans CompileJob(const Job& job, int ranks) {
  const std::span<const data::BatchShape> shapes = job.splits.batches->shapes();
  graph::Model model = job.build_model(graph::Mode::kTrain, shapes.back());
  engine::ParameterLayout layout(model.graph);
  const int64_t bucket = job.device ? kDeviceBucketElements : kBucketElements;
  JobPlans plans{std::move(model), layout, comm::CutBuckets(layout.elements(), bucket), {}, {}, EvaluationShapes(job)};
  engine::CompileOptions train, evaluate;
  train.activations = job.train.precision() == Precision::BF16 ? DType::kBF16 : DType::kF32;
  evaluate.activations = train.activations;
  train.frozen = FrozenParameters(plans.model, job.optimizer);
  train.buckets = plans.buckets;
  train.recompute_activations = job.train.recompute_activations();
  train.runs_on_same_weights = std::max(1, static_cast<int>(job.train.lanes()) / ranks);
  evaluate.mode = graph::Mode::kEvaluate;
  const auto compile = [&](const data::BatchShape& shape, const engine::CompileOptions& options) {
    const graph::Model of = job.build_model(options.mode, shape);
    return std::make_shared<engine::ProgramPlan>(engine::Compile(of.graph, plans.layout, *job.backend, options));
  };
  for (const data::BatchShape& shape : shapes) plans.train.push_back(compile(shape, train));
  for (const data::BatchShape& shape : plans.evaluation_shapes) plans.evaluate.push_back(compile(shape, evaluate));
  return plans;
}

bool SavesMeanwhile(const checkpoint::CheckpointConfig& config) {
  return config.every_steps() > 0 || config.every_minutes() > 0 || config.when() == checkpoint::BEST;
}

void CheckMemory(const Job& job, const JobPlans& plans, const comm::LanePlan& plan, const std::vector<int>& local_ranks,
                 size_t limit) {
  const optim::Optimizer optimizer(job.optimizer, MakeSegments(plans, job.optimizer), LengthOf(job),
                                   static_cast<int>(job.train.lanes()));
  const int arrays =
      static_cast<int>(StateArrays(optimizer, job.train).size()) + (KeepsSums(optimizer, job.train) ? 1 : 0);
  MemoryEstimate host;
  for (int rank : local_ranks) {
    const MemoryEstimate mine =
        EstimateMemory(plans, static_cast<int>(job.train.lanes()), plan, rank, arrays, SavesMeanwhile(job.checkpoint));
    host.weights = mine.weights;
    host.gradients += mine.gradients;
    host.optimizer += mine.optimizer;
    host.activations += mine.activations;
    host.packed += mine.packed;
    host.checkpoint += mine.checkpoint;
    for (const auto& split : {job.splits.train, job.splits.validation, job.splits.test})
      if (split) host.data += BytesOf(*split);
  }
  const int64_t need = host.weights + host.rank();
  if (need <= static_cast<int64_t>(limit)) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("{} rank{} on this host need {}: weights {}, gradients {}, optimizer {}, activations {}, "
                          "packed weights {}, copy for checkpoints {}, data {}; "
                          "the limit is {}",
                          local_ranks.size(), local_ranks.size() == 1 ? "" : "s", Mebibytes(need),
                          Mebibytes(host.weights), Mebibytes(host.gradients), Mebibytes(host.optimizer),
                          Mebibytes(host.activations), Mebibytes(host.packed), Mebibytes(host.checkpoint),
                          Mebibytes(host.data), Mebibytes(static_cast<int64_t>(limit))),
              "", "use fewer executors (--executors), more hosts, a smaller train.global_batch or more train.lanes");
}

}  // namespace lockstep::plan
