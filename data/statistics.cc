#include "data/statistics.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "data/drawn_samples.h"

namespace lockstep::data {
namespace {

/// Sums over values of one channel, less a value near their mean: so squares don't cancel (Chan, Golub and LeVeque
/// 1983, "Algorithms for computing the sample variance", shifted data).
class ChannelSum {
 public:
  void Add(double value) {
    if (count_++ == 0) shift_ = value;
    binary_ &= value == 0 || value == 1;
    const double distance = value - shift_;
    sum_ += distance;
    squares_ += distance * distance;
  }
  double mean() const { return shift_ + sum_ / Count(); }
  double deviation() const { return std::sqrt(std::max(0.0, (squares_ - sum_ * sum_ / Count()) / Count())); }
  bool binary() const { return binary_; }

 private:
  double Count() const { return static_cast<double>(count_); }

  uint64_t count_ = 0;
  double shift_ = 0, sum_ = 0, squares_ = 0;
  bool binary_ = true;
};

}  // namespace

ChannelStatistics Measure(const std::shared_ptr<const Dataset>& dataset, const Transform& transform, size_t field,
                          uint64_t most, uint64_t seed) {
  const std::span<const Field> fields = transform.fields();
  CHECK(fields[field].dtype == DType::kF32);
  const std::shared_ptr<const Dataset> samples = DrawSamples(dataset, most, seed);
  std::vector<std::vector<std::byte>> rows;
  std::vector<std::byte*> pointers;
  for (const Field& each : fields) {
    rows.emplace_back(static_cast<size_t>(each.shape.size() * SizeOf(each.dtype)));
    pointers.push_back(rows.back().data());
  }
  const Shape& shape = fields[field].shape;
  const auto channels = static_cast<size_t>(shape[shape.rank() - 1]);
  const auto values = static_cast<size_t>(shape.size());
  std::vector<ChannelSum> sums(channels);
  Sample sample;
  for (uint64_t id = 0; id < samples->size(); ++id) {
    samples->Read(0, id, sample);
    transform.Apply(sample, 0, id, /*augment=*/false, 0, pointers);
    const auto* const row = reinterpret_cast<const float*>(rows[field].data());
    for (size_t i = 0; i < values; ++i) sums[i % channels].Add(row[i]);
  }
  ChannelStatistics statistics;
  for (const ChannelSum& sum : sums) {
    statistics.mean.push_back(sum.mean());
    statistics.deviation.push_back(sum.deviation());
    statistics.binary.push_back(sum.binary());
  }
  return statistics;
}

}  // namespace lockstep::data
