// How far predicted numbers are from the true ones, for each target: scikit-learn 1.9's mean_squared_error,
// root_mean_squared_error, mean_absolute_error and r2_score. Sums are doubles, added in the order of samples. Without
// samples everything is NaN.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::metrics {

struct RegressionNumbers {
  double mse = 0;   ///< mean squared error
  double rmse = 0;  ///< its root, in the target's unit
  double mae = 0;   ///< mean absolute error, in the target's unit
  /// Share of the target's variance that predictions explain: 1 - residual sum / total sum of squares. Where the target
  /// is the same in all samples, 1 if every prediction is exact, else 0; of fewer than two samples NaN.
  double r2 = 0;
};

struct Regression {
  int64_t samples = 0;
  std::vector<RegressionNumbers> targets;
  RegressionNumbers mean;  ///< over targets, each number for itself
};

/// `predicted` and `expected`: [samples][targets].
Regression MeasureRegression(std::span<const double> predicted, std::span<const double> expected, int targets);

}  // namespace lockstep::metrics
