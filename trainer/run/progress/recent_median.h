// The median of what came last, in bounded memory: a run may have any number of steps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"

namespace lockstep::run {

class RecentMedian {
 public:
  /// Half a MiB; most runs have fewer steps.
  static constexpr size_t kMost = 65536;

  /// Of the last `most` values.
  explicit RecentMedian(size_t most = kMost) : most_(most) {}

  void Add(double value) {
    if (values_.size() < most_) {
      values_.push_back(value);
    } else {
      values_[next_] = value;
      next_ = (next_ + 1) % most_;
    }
  }
  bool empty() const { return values_.empty(); }
  size_t size() const { return values_.size(); }
  /// The upper of the two in the middle, of an even number. REQUIRES: not empty.
  double Get() const {
    CHECK(!empty());
    std::vector<double> values = values_;
    const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

 private:
  const size_t most_;
  std::vector<double> values_;
  size_t next_ = 0;  ///< the oldest, once there are `most_`
};

}  // namespace lockstep::run
