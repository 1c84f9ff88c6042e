#include "data/batches/batches.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::data {

uint64_t WholeSteps(double epochs, uint64_t samples, uint64_t batch) {
  // 2.3 epochs of 100 samples are 230, though 2.3 * 100 is a little less.
  constexpr double kRounding = 1 + 1e-12;
  return static_cast<uint64_t>(epochs * static_cast<double>(samples) / static_cast<double>(batch) * kRounding);
}

uint64_t StepsFrom(const Leg& leg, double epochs, uint64_t samples, uint64_t batch) {
  if (leg == Leg{}) return WholeSteps(epochs, samples, batch);
  const uint64_t end = WholeSteps(epochs, samples, 1);
  return leg.first_step + (end > leg.first_position ? (end - leg.first_position) / batch : 0);
}

int ShapeFor(std::span<const BatchShape> shapes, int64_t length) {
  const auto found = std::lower_bound(shapes.begin(), shapes.end(), length,
                                      [](const BatchShape& shape, int64_t size) { return shape.length < size; });
  CHECK(found != shapes.end(), "length {}", length);
  return static_cast<int>(found - shapes.begin());
}

}  // namespace lockstep::data
