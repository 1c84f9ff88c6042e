// The evaluations of a run, by split: what they read and how answers are scored is prepared when a split is first asked
// for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainer/evaluate/evaluator.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/plan/splits.h"
#include "trainer/step/compute.h"

namespace lockstep::evaluate {

class Evaluations {
 public:
  using OnProgress = std::function<void(const std::string& split, double share)>;

  /// `make_scorer` may be null: losses and counters say all. So may `on_progress`, which is told how far an evaluation
  /// is as Evaluator::Options says. `splits` and `compute` outlive it.
  Evaluations(const plan::Splits& splits, metrics::Task task, ScorerFactory make_scorer, step::ForwardCompute& compute,
              OnProgress on_progress)
      : splits_(splits),
        task_(task),
        make_scorer_(std::move(make_scorer)),
        compute_(compute),
        on_progress_(std::move(on_progress)) {}

  /// Evaluates `split` ("test", "validation", "train") with the current weights. Collective. Nothing where a rank was
  /// asked to stop meanwhile.
  std::optional<checkpoint::Evaluation> Evaluate(const std::string& split, uint64_t step);

 private:
  std::unique_ptr<Evaluator> MakeEvaluator(const std::string& split) const;

  const plan::Splits& splits_;
  metrics::Task task_;
  ScorerFactory make_scorer_;
  step::ForwardCompute& compute_;
  OnProgress on_progress_;
  std::vector<std::pair<std::string, std::unique_ptr<Evaluator>>> evaluators_;
};

}  // namespace lockstep::evaluate
