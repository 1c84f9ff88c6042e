#include "trainer/run/early_stopping.h"

#include <cmath>
#include <limits>

namespace lockstep::run {

bool EarlyStoppingRule::Observe(const checkpoint::Evaluation& evaluation) {
  // Scores ascend: a smaller loss is a larger score.
  const auto accuracy = evaluation.metrics().find("accuracy");
  const bool by_accuracy = config_.metric() == plan::Metric::ACCURACY && accuracy != evaluation.metrics().end();
  double score = by_accuracy ? accuracy->second : -evaluation.loss();
  // Nothing compares with NaN: as a best score it would stay the best.
  if (std::isnan(score)) score = -std::numeric_limits<double>::infinity();
  const bool better = !state_.has_best() || score > state_.best_score() + config_.min_delta();
  if (better) {
    state_.set_has_best(true);
    state_.set_best_score(score);
    state_.set_best_step(evaluation.step());
    state_.set_evaluations_without_gain(0);
  } else {
    state_.set_evaluations_without_gain(state_.evaluations_without_gain() + 1);
  }
  return better;
}

}  // namespace lockstep::run
