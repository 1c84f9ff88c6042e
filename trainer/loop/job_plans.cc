#include "trainer/loop/job_plans.h"

#include <algorithm>

#include "base/error.h"
#include "trainer/loop/memory_estimate.h"

namespace lockstep::loop {
namespace {

// A bucket is folded, sent and updated at once: it fits the second-level cache.
constexpr int64_t kBucketElements = 64 * comm::kChunkElements;
// A device's: 16 MiB, so that a message is worth its start, and enough of them to overlap.
constexpr int64_t kDeviceBucketElements = 1024 * comm::kChunkElements;

std::vector<engine::BucketRange> BucketRanges(const std::vector<comm::ElementRange>& buckets) {
  std::vector<engine::BucketRange> ranges;
  for (const comm::ElementRange& bucket : buckets) ranges.push_back({bucket.begin, bucket.end});
  return ranges;
}

/// One shape for all splits, so that there is one evaluation program.
int64_t EvaluationRows(const Job& job) {
  uint64_t largest = job.splits.reported()->size();
  if (job.splits.validation) largest = std::max(largest, job.splits.validation->size());
  return static_cast<int64_t>(std::clamp<uint64_t>(job.train.evaluation_block(), 1, largest));
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

double TokensPerSecond(const Job& job, const data::Dataset& dataset, double samples_per_s) {
  return job.task == metrics::Task::kLanguageModel ? samples_per_s * static_cast<double>(dataset.labels(0, 0)) : 0;
}

uint64_t TotalSteps(const TrainConfig& config, uint64_t samples) {
  // 2.3 epochs of 100 samples are 230, though 2.3 * 100 is a little less.
  constexpr double kRounding = 1 + 1e-12;
  const double by_epochs = config.epochs() * static_cast<double>(samples) / static_cast<double>(config.global_batch()) * kRounding;
  const uint64_t steps = config.steps() > 0 ? config.steps() : static_cast<uint64_t>(by_epochs);
  if (steps == 0)
    throw Error(ErrorKind::kUsage,
                fmt::format("the run has no steps: {} epochs of {} samples, {} a step", config.epochs(), samples, config.global_batch()),
                "train", "set train.epochs or train.steps");
  return steps;
}

optim::RunLength LengthOf(const Job& job) {
  const uint64_t samples = job.splits.train->size();
  return {TotalSteps(job.train, samples), static_cast<double>(samples) / static_cast<double>(job.train.global_batch())};
}

JobPlans CompileJob(const Job& job) {
  const auto lane_rows = static_cast<int64_t>(job.train.global_batch() / job.train.lanes());
  graph::Model model = job.build_model(graph::Mode::kTrain, lane_rows);
  engine::ParameterLayout layout(model.graph);
  JobPlans plans{std::move(model), layout, comm::CutBuckets(layout.elements(), job.device ? kDeviceBucketElements : kBucketElements), nullptr, nullptr, EvaluationRows(job)};
  engine::CompileOptions train, evaluate;
  train.activations = job.train.precision() == Precision::BF16 ? DType::kBF16 : DType::kF32;
  evaluate.activations = train.activations;
  train.frozen = FrozenParameters(plans.model, job.optimizer);
  train.buckets = BucketRanges(plans.buckets);
  plans.train = std::make_shared<engine::ProgramPlan>(engine::Compile(plans.model.graph, plans.layout, *job.backend, train));
  evaluate.mode = graph::Mode::kEvaluate;
  const graph::Model evaluation = job.build_model(graph::Mode::kEvaluate, plans.evaluation_rows);
  plans.evaluate = std::make_shared<engine::ProgramPlan>(engine::Compile(evaluation.graph, plans.layout, *job.backend, evaluate));
  return plans;
}

bool SavesMeanwhile(const checkpoint::CheckpointConfig& config) {
  return config.every_steps() > 0 || config.every_minutes() > 0 || config.when() == checkpoint::BEST;
}

void CheckMemory(const Job& job, const JobPlans& plans, const comm::LanePlan& plan, const std::vector<int>& local_ranks, size_t limit) {
  const optim::Optimizer optimizer(job.optimizer, MakeSegments(plans, job.optimizer), LengthOf(job), static_cast<int>(job.train.lanes()));
  const int arrays = static_cast<int>(StateArrays(optimizer, job.train).size()) + (KeepsSums(optimizer, job.train) ? 1 : 0);
  MemoryEstimate host;
  for (int rank : local_ranks) {
    const MemoryEstimate mine = EstimateMemory(plans.layout, *plans.train, *plans.evaluate, static_cast<int>(job.train.lanes()), plan, rank, arrays, SavesMeanwhile(job.checkpoint));
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
              fmt::format("{} rank{} on this host need {}: weights {}, gradients {}, optimizer {}, activations {}, packed weights {}, copy for checkpoints {}, data {}; "
                          "the limit is {}",
                          local_ranks.size(), local_ranks.size() == 1 ? "" : "s", Mebibytes(need), Mebibytes(host.weights), Mebibytes(host.gradients),
                          Mebibytes(host.optimizer), Mebibytes(host.activations), Mebibytes(host.packed), Mebibytes(host.checkpoint), Mebibytes(host.data), Mebibytes(static_cast<int64_t>(limit))),
              "", "use fewer executors (--executors), more hosts, a smaller train.global_batch or more train.lanes");
}

}  // namespace lockstep::loop
