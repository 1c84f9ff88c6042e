#include "launch/estimate/op_times.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lockstep::launch {
namespace {

// What calling a kernel takes whatever its size, roughly; it only has to keep tiny ops' factors within reason.
constexpr double kCallSeconds = 2e-7;
constexpr size_t kNeighbours = 4;
// Ops that differ by less than a quarter of a power of two are as good as the same.
constexpr double kSame = 0.05;

/// Squared, in powers of two.
double Distance(const OpWork& a, const OpWork& b) {
  const auto square = [](double x, double y) {
    const double difference = std::log2((x + 1) / (y + 1));
    return difference * difference;
  };
  double sum = square(a.flops, b.flops) + square(a.bytes, b.bytes);
  for (size_t i = 0; i < a.shape.size(); ++i) sum += square(a.shape[i], b.shape[i]);
  return sum;
}

}  // namespace

OpTimes::OpTimes(const MachineRecord& machine, int computing) {
  const double share =
      machine.cores > 1 ? std::min(1.0, static_cast<double>(computing - 1) / (machine.cores - 1)) : 0.0;
  const double turns = std::max(1.0, static_cast<double>(computing) / machine.cores);
  const auto between = [&](double alone, double together) { return turns * (alone + share * (together - alone)); };
  flops_per_second_ = 1e9 / between(1 / machine.alone.matrix_gflops, 1 / machine.together.matrix_gflops);
  bytes_per_second_ = 1e9 / between(1 / machine.alone.copy_gb_s, 1 / machine.together.copy_gb_s);
  std::vector<double> factors;
  for (const MeasuredOp& op : machine.ops) {
    const double factor = between(op.alone, op.together) / Ideal(op.work);
    kinds_[op.work.kind].push_back({op.work, factor});
    factors.push_back(factor);
  }
  if (factors.empty()) return;
  const auto middle = factors.begin() + static_cast<std::ptrdiff_t>(factors.size() / 2);
  std::nth_element(factors.begin(), middle, factors.end());
  other_factor_ = *middle;
}

double OpTimes::Ideal(const OpWork& work) const {
  return kCallSeconds + work.flops / flops_per_second_ + work.bytes / bytes_per_second_;
}

bool OpTimes::ArithmeticBound(const OpWork& work) const {
  return work.flops / flops_per_second_ > work.bytes / bytes_per_second_;
}

double OpTimes::Seconds(const OpWork& work) const {
  const auto kind = kinds_.find(work.kind);
  if (kind == kinds_.end()) return other_factor_ * Ideal(work);
  std::vector<std::pair<double, double>> nearest;  // distance, factor
  for (const Known& known : kind->second) nearest.emplace_back(Distance(work, known.work), known.factor);
  const size_t count = std::min(kNeighbours, nearest.size());
  std::partial_sort(nearest.begin(), nearest.begin() + static_cast<std::ptrdiff_t>(count), nearest.end());
  double sum = 0, weights = 0;
  for (size_t i = 0; i < count; ++i) {
    const double weight = 1 / ((nearest[i].first + kSame * kSame) * (nearest[i].first + kSame * kSame));
    sum += weight * std::log(nearest[i].second);
    weights += weight;
  }
  return std::exp(sum / weights) * Ideal(work);
}

}  // namespace lockstep::launch
