#include "trainer/evaluate/evaluations.h"

#include <algorithm>

namespace lockstep::evaluate {
namespace {

std::vector<std::string> CounterNames(const graph::Graph& graph) {
  std::vector<std::string> names;
  for (const graph::Counter& counter : graph.counters) names.push_back(counter.name);
  return names;
}

const std::shared_ptr<const data::Dataset>& DatasetOf(const plan::Splits& splits, const std::string& split) {
  if (split == "test") return splits.test;
  if (split == "validation") return splits.validation;
  return splits.train_part;
}

}  // namespace

std::unique_ptr<Evaluator> Evaluations::MakeEvaluator(const std::string& split) const {
  Evaluator::Options options;
  options.split = split;
  options.dataset = DatasetOf(splits_, split);
  options.transform = splits_.transform;
  options.shapes = compute_.plans().evaluation_shapes;
  options.rounded = plan::RoundedInputs(*compute_.plans().evaluate.front());
  options.task = task_;
  options.executors = compute_.executors().of_ranks();
  const graph::Graph& graph = compute_.plans().evaluate.front()->graph;
  options.losses = graph.losses.size();
  options.counters = CounterNames(graph);
  if (make_scorer_) options.scorer = make_scorer_(options.dataset, compute_);
  if (on_progress_) options.on_progress = [told = on_progress_, split](double share) { told(split, share); };
  return std::make_unique<Evaluator>(std::move(options));
}

std::optional<checkpoint::Evaluation> Evaluations::Evaluate(const std::string& split, uint64_t step) {
  auto found =
      std::find_if(evaluators_.begin(), evaluators_.end(), [&](const auto& entry) { return entry.first == split; });
  if (found == evaluators_.end()) {
    evaluators_.emplace_back(split, MakeEvaluator(split));
    found = std::prev(evaluators_.end());
  }
  compute_.PrepareEvaluation();
  return found->second->Evaluate(step, compute_);
}

}  // namespace lockstep::evaluate
