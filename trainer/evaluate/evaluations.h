// The evaluations of a run, by split: what they read and how answers are scored is prepared when a split is first asked
// for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainer/evaluate/evaluator.h"
#include "trainer/plan/job.h"
#include "trainer/step/compiled_model.h"

namespace lockstep::evaluate {

class Evaluations {
 public:
  /// Both outlive it.
  Evaluations(const plan::Job& job, step::CompiledModel& model) : job_(job), model_(model) {}

  /// Evaluates `split` ("test", "validation", "train") with the current weights. Collective. Nothing where a rank was
  /// asked to stop meanwhile.
  std::optional<checkpoint::Evaluation> Evaluate(const std::string& split, uint64_t step);

 private:
  std::unique_ptr<Evaluator> MakeEvaluator(const std::string& split) const;

  const plan::Job& job_;
  step::CompiledModel& model_;
  std::vector<std::pair<std::string, std::unique_ptr<Evaluator>>> evaluators_;
};

}  // namespace lockstep::evaluate
