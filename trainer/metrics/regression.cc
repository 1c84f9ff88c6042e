#include "trainer/metrics/regression.h"

#include <cmath>
#include <cstddef>
#include <limits>

#include "base/error.h"

namespace lockstep::metrics {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// Of the numbers at 0, stride, 2 * stride, ...
RegressionNumbers MeasureTarget(std::span<const double> predicted, std::span<const double> expected, size_t stride) {
  const size_t samples = (expected.size() + stride - 1) / stride;
  if (samples == 0) return {kUndefined, kUndefined, kUndefined, kUndefined};
  const auto count = static_cast<double>(samples);
  double squares = 0, distances = 0, sum = 0;
  bool constant = true;
  for (size_t i = 0; i < expected.size(); i += stride) {
    const double error = predicted[i] - expected[i];
    squares += error * error;
    distances += std::abs(error);
    sum += expected[i];
    constant &= expected[i] == expected[0];
  }
  // The rounded mean of equal numbers may be another one.
  const double mean = constant ? expected[0] : sum / count;
  double total = 0;
  for (size_t i = 0; i < expected.size(); i += stride) total += (expected[i] - mean) * (expected[i] - mean);
  RegressionNumbers numbers = {squares / count, std::sqrt(squares / count), distances / count, 0};
  if (samples < 2 || std::isnan(squares))
    numbers.r2 = kUndefined;
  else if (total == 0)
    numbers.r2 = squares == 0 ? 1 : 0;
  else
    numbers.r2 = 1 - squares / total;
  return numbers;
}

}  // namespace

Regression MeasureRegression(std::span<const double> predicted, std::span<const double> expected, int targets) {
  CHECK(targets >= 1 && predicted.size() == expected.size() && expected.size() % targets == 0,
        "{} predictions, {} expected numbers of {} targets", predicted.size(), expected.size(), targets);
  Regression result;
  result.samples = static_cast<int64_t>(expected.size()) / targets;
  const auto stride = static_cast<size_t>(targets);
  for (size_t target = 0; target < stride; ++target) {
    const size_t begin = expected.empty() ? 0 : target;
    result.targets.push_back(MeasureTarget(predicted.subspan(begin), expected.subspan(begin), stride));
  }
  for (double RegressionNumbers::*number :
       {&RegressionNumbers::mse, &RegressionNumbers::rmse, &RegressionNumbers::mae, &RegressionNumbers::r2}) {
    double sum = 0;
    for (const RegressionNumbers& numbers : result.targets) sum += numbers.*number;
    result.mean.*number = sum / targets;
  }
  return result;
}

}  // namespace lockstep::metrics
