#include "trainer/metrics/detection/mean.h"

#include <array>
#include <limits>

namespace lockstep::metrics {
namespace {

double Sum(std::span<const double> values) {
  constexpr size_t kLanes = 8, kBlock = 128;
  const size_t count = values.size();
  if (count > kBlock) {
    const size_t half = count / 2 / kLanes * kLanes;
    return Sum(values.first(half)) + Sum(values.subspan(half));
  }
  double sum = 0;
  size_t next = 0;
  if (count >= kLanes) {
    std::array<double, kLanes> lanes = {};
    for (; next + kLanes <= count; next += kLanes)
      for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[next + lane];
    sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
  for (; next < count; ++next) sum += values[next];
  return sum;
}

}  // namespace

double NumpyMean(std::span<const double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  return Sum(values) / static_cast<double>(values.size());
}

}  // namespace lockstep::metrics
