#include "launch/tune/tpe.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/philox.h"

namespace lockstep::launch {
namespace {

constexpr size_t kStartup = 10;
constexpr int kCandidates = 24;
constexpr double kPriorWeight = 1;

double NormalBelow(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

/// A mixture of normals, cut to [0, 1], each around an earlier value, and one, the prior, around the middle.
class Parzen {
 public:
  explicit Parzen(std::vector<double> values) : means_(std::move(values)) {
    const size_t own = means_.size();
    means_.push_back(0.5);
    std::vector<size_t> order(means_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means_[a] < means_[b]; });
    deviations_.resize(means_.size());
    // As wide as the further of the two neighbours is away.
    for (size_t i = 0; i < order.size(); ++i) {
      const double at = means_[order[i]];
      const double left = i == 0 ? at : at - means_[order[i - 1]];
      const double right = i + 1 == order.size() ? 1 - at : means_[order[i + 1]] - at;
      const double least = 1.0 / std::min<double>(100, 1 + static_cast<double>(means_.size()));
      deviations_[order[i]] = std::clamp(std::max(left, right), least, 1.0);
    }
    deviations_[own] = 1;  // the prior
  }

  double Density(double x) const {
    double sum = 0;
    for (size_t i = 0; i < means_.size(); ++i) {
      const double z = (x - means_[i]) / deviations_[i];
      const double inside = NormalBelow((1 - means_[i]) / deviations_[i]) - NormalBelow(-means_[i] / deviations_[i]);
      sum += std::exp(-z * z / 2) / (deviations_[i] * std::sqrt(2 * std::numbers::pi) * inside);
    }
    return sum / static_cast<double>(means_.size());
  }

  /// By two numbers in [0, 1): which component, and where in it.
  double Draw(double component, double place) const {
    const auto i = static_cast<size_t>(component * static_cast<double>(means_.size()));
    const double low = NormalBelow(-means_[i] / deviations_[i]);
    const double high = NormalBelow((1 - means_[i]) / deviations_[i]);
    const double wanted = low + place * (high - low);
    // The inverse by halving: the density is smooth, and speed is of no interest.
    double left = 0, right = 1;
    for (int step = 0; step < 40; ++step) {
      const double middle = (left + right) / 2;
      (NormalBelow((middle - means_[i]) / deviations_[i]) < wanted ? left : right) = middle;
    }
    return std::min((left + right) / 2, std::nextafter(1.0, 0.0));
  }

 private:
  std::vector<double> means_, deviations_;
};

/// How often each value of a list was tried, and the prior.
class Counts {
 public:
  Counts(const std::vector<double>& values, size_t choices)
      : weights_(choices, kPriorWeight / static_cast<double>(choices)) {
    for (const double unit : values) ++weights_[IndexOf(unit)];
    const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    for (double& weight : weights_) weight /= sum;
  }
  size_t IndexOf(double unit) const {
    const auto count = static_cast<double>(weights_.size());
    return static_cast<size_t>(std::min(count - 1, std::floor(unit * count)));
  }
  double Density(double unit) const { return weights_[IndexOf(unit)]; }
  double Draw(double place) const {
    size_t i = 0;
    for (double sum = weights_[0]; i + 1 < weights_.size() && place >= sum; sum += weights_[i]) ++i;
    return (static_cast<double>(i) + 0.5) / static_cast<double>(weights_.size());
  }

 private:
  std::vector<double> weights_;
};

/// The candidate with the largest ratio of `good` to `bad`; the first of equals.
template <typename Draw, typename Ratio>
double Best(const Draw& draw, const Ratio& ratio) {
  double best = 0, largest = -1;
  for (int i = 0; i < kCandidates; ++i) {
    const double unit = draw(i), value = ratio(unit);
    if (value <= largest) continue;
    largest = value;
    best = unit;
  }
  return best;
}

}  // namespace

Units SuggestTpe(const std::vector<Dimension>& space, const RankedTrials& earlier, uint64_t seed, int trial) {
  const size_t count = earlier.units.size();
  if (count < kStartup) return DrawAt(space, seed, trial);
  const auto good_ones = std::min<size_t>(25, static_cast<size_t>(std::ceil(0.1 * static_cast<double>(count))));
  Units suggestion;
  for (uint32_t d = 0; d < space.size(); ++d) {
    std::vector<double> good, bad;
    for (size_t i = 0; i < count; ++i) (i < good_ones ? good : bad).push_back(earlier.units[i][d]);
    const RandomStream stream{seed, static_cast<uint64_t>(trial), 1 + d, 0};
    const auto uniform = [&](int i, uint32_t which) {
      return stream.Bits(static_cast<uint32_t>(2 * i) + which) * 0x1p-32;
    };
    if (space[d].continuous()) {
      const Parzen likely(good), unlikely(bad);
      suggestion.push_back(Best([&](int i) { return likely.Draw(uniform(i, 0), uniform(i, 1)); },
                                [&](double unit) { return likely.Density(unit) / unlikely.Density(unit); }));
    } else {
      const Counts likely(good, space[d].values.size()), unlikely(bad, space[d].values.size());
      suggestion.push_back(Best([&](int i) { return likely.Draw(uniform(i, 0)); },
                                [&](double unit) { return likely.Density(unit) / unlikely.Density(unit); }));
    }
  }
  return suggestion;
}

}  // namespace lockstep::launch
