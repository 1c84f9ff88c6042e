#include "trainer/loop/session.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "trainer/loop/initialize.h"
#include "trainer/loop/lane_plan.h"

namespace lockstep::loop {
namespace {

// A bucket is folded, sent and updated at once: it fits the second-level cache.
constexpr int64_t kBucketElements = 64 * comm::kChunkElements;

std::vector<engine::BucketRange> BucketRanges(const std::vector<comm::ElementRange>& buckets) {
  std::vector<engine::BucketRange> ranges;
  for (const comm::ElementRange& bucket : buckets) ranges.push_back({bucket.begin, bucket.end});
  return ranges;
}

std::vector<std::string> CounterNames(const graph::Graph& graph) {
  std::vector<std::string> names;
  for (const graph::Counter& counter : graph.counters) names.push_back(counter.name);
  return names;
}

/// The cores to pin executors to: only inside an affinity mask smaller than the machine, and one executor a core.
std::vector<int> PinnedCores(const comm::Topology& topology, const std::vector<int>& executors) {
  const CoreBudget cores = QueryCores();
  if (static_cast<int>(cores.allowed.size()) >= cores.machine) return {};
  const int mine = executors[static_cast<size_t>(topology.rank)];
  return static_cast<int>(cores.allowed.size()) >= mine ? cores.allowed : std::vector<int>{};
}

}  // namespace

std::set<std::string> FrozenParameters(const graph::Model& model, const optim::OptimizerConfig& config) {
  std::set<std::string> frozen;
  for (const graph::ParameterInfo& info : model.parameters) {
    const std::string& name = model.graph.value(info.value).name;
    if (optim::SegmentFor(config, name, info.decay, 0, 0).frozen) frozen.insert(name);
  }
  return frozen;
}

std::vector<optim::Segment> MakeSegments(const graph::Model& model, const engine::ParameterLayout& layout,
                                         const optim::OptimizerConfig& config) {
  std::vector<optim::Segment> segments;
  for (const engine::ArenaEntry& entry : layout.entries()) {
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

int64_t EvaluationRows(const TrainConfig& config, uint64_t size) {
  const uint64_t wanted = config.evaluation_block() > 0 ? config.evaluation_block() : 500;
  return static_cast<int64_t>(std::max<uint64_t>(1, std::min(wanted, size)));
}

Session::Session(const Job& job, const std::vector<int>& executors)
    : job_(job),
      model_(job.build_model(graph::Mode::kTrain, static_cast<int64_t>(job.train.global_batch() / job.train.lanes()))),
      layout_(model_.graph),
      executors_(executors),
      plan_(PlanLanes(static_cast<int>(job.train.lanes()), executors)) {
  // The communicating thread sums and updates too.
  PrepareComputeThread(static_cast<int>(job.train.lane_threads()), "main");
  const std::vector<comm::ElementRange> buckets = comm::CutBuckets(layout_.elements(), kBucketElements);
  exchange_ = std::make_unique<comm::Exchange>(comm(), comm::Exchange::Options{static_cast<int>(job.train.lanes()), plan_, buckets});

  // One shape for all splits, so that there is one evaluation program.
  uint64_t largest = job.splits.reported()->size();
  if (job.splits.validation) largest = std::max(largest, job.splits.validation->size());
  evaluation_rows_ = EvaluationRows(job.train, largest);

  ExecutorPool::Options pool;
  pool.executors = executors_[rank()];
  pool.lane_threads = static_cast<int>(job.train.lane_threads());
  pool.pin_to = PinnedCores(comm().topology(), executors_);
  pool_ = std::make_unique<ExecutorPool>(pool);
  runners_.resize(static_cast<size_t>(pool.executors));

  engine::CompileOptions train, evaluate;
  train.frozen = FrozenParameters(model_, job.optimizer);
  train.buckets = BucketRanges(buckets);
  evaluate.mode = graph::Mode::kEvaluate;
  const graph::Model evaluation_model = job.build_model(graph::Mode::kEvaluate, evaluation_rows_);
  compiled_.train = std::make_shared<engine::ProgramPlan>(engine::Compile(model_.graph, layout_, *job.backend, train));
  compiled_.evaluate =
      std::make_shared<engine::ProgramPlan>(engine::Compile(evaluation_model.graph, layout_, *job.backend, evaluate));
  const float* weights = exchange_->weights().data();
  compiled_.packed_train = std::make_unique<engine::PackedWeights>(*compiled_.train, layout_, *job.backend, weights);
  compiled_.packed_evaluate = std::make_unique<engine::PackedWeights>(*compiled_.evaluate, layout_, *job.backend, weights);
  // An executor that fails ends every wait for what it would have computed.
  comm().SetInterrupt([this] {
    if (const std::exception_ptr error = pool_->error()) std::rethrow_exception(error);
  });
  OnExecutors("the preparation of kernels", [&](int e) {
    runners_[static_cast<size_t>(e)] =
        std::make_unique<LaneRunner>(compiled_, layout_, *job.backend, *exchange_, e, plan_[rank()][static_cast<size_t>(e)],
                                     static_cast<int>(job.train.lanes()));
  });
}

Session::~Session() { comm().SetInterrupt(nullptr); }

void Session::OnExecutors(const std::string& what, std::function<void(int)> work) {
  pool_->Start(std::move(work));
  comm().WaitUntil([&] { return pool_->Finished(); }, what);
}

void Session::Initialize() {
  if (comm().topology().local_rank() == 0) {
    if (job_.initial_weights)
      job_.initial_weights(layout_, exchange_->weights().data());
    else
      InitializeWeights(model_, layout_, job_.train.seed(), exchange_->weights());
  }
  comm().Wait(*comm().Barrier(), "the initial weights");
}

void Session::Pack(engine::PackedWeights& packed) {
  if (packed.count() == 0) return;
  std::atomic<int> next{0};
  OnExecutors("the packing of weights", [&](int) {
    for (int index = next++; index < packed.count(); index = next++) packed.Pack(index);
  });
}

const std::shared_ptr<const data::Dataset>& Session::Split(const std::string& split) const {
  if (split == "test") return job_.splits.test;
  if (split == "validation") return job_.splits.validation;
  return job_.splits.train;
}

checkpoint::Evaluation Session::Evaluate(const std::string& split, uint64_t step) {
  auto found = std::find_if(evaluators_.begin(), evaluators_.end(), [&](const auto& entry) { return entry.first == split; });
  if (found == evaluators_.end()) {
    Evaluator::Options options;
    options.split = split;
    options.dataset = Split(split);
    options.transform = job_.splits.transform;
    options.rows = evaluation_rows_;
    options.executors = executors_;
    options.counters = CounterNames(compiled_.evaluate->graph);
    evaluators_.emplace_back(split, std::make_unique<Evaluator>(std::move(options)));
    found = std::prev(evaluators_.end());
  }
  Pack(*compiled_.packed_evaluate);
  return found->second->Evaluate(step, comm(), *pool_, runners_);
}

}  // namespace lockstep::loop
