#include "data/rows/class_weights.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace lockstep::data {

std::vector<uint64_t> CountClasses(const Dataset& dataset, size_t classes, uint64_t most) {
  std::vector<uint64_t> counts(classes);
  for (uint64_t id = 0; id < std::min(most, dataset.size()); ++id) {
    const int32_t label = dataset.Describe(0, id).label;
    if (label < 0 || static_cast<size_t>(label) >= classes) return {};
    ++counts[static_cast<size_t>(label)];
  }
  return counts;
}

std::vector<double> BalancedWeights(const std::vector<uint64_t>& counts) {
  const auto samples = static_cast<double>(std::accumulate(counts.begin(), counts.end(), uint64_t{0}));
  const auto classes =
      static_cast<double>(std::count_if(counts.begin(), counts.end(), [](uint64_t count) { return count > 0; }));
  std::vector<double> weights;
  for (const uint64_t count : counts)
    weights.push_back(count == 0 ? 0 : samples / (classes * static_cast<double>(count)));
  return weights;
}

void SettleClassWeights(const Dataset& train, ClassWeights& config) {
  constexpr char kPath[] = "data.class_weights";
  const auto classes = static_cast<size_t>(std::max(0, train.classes()));
  if (config.balanced() && config.values_size() == 0) {
    const std::vector<uint64_t> counts = CountClasses(train, classes, std::numeric_limits<uint64_t>::max());
    if (counts.empty()) throw Error(ErrorKind::kUsage, "the samples have no classes", kPath, "remove it");
    const std::vector<double> weights = BalancedWeights(counts);
    config.mutable_values()->Assign(weights.begin(), weights.end());
    config.clear_balanced();
  }
  if (config.values_size() > 0 && static_cast<size_t>(config.values_size()) != classes)
    throw Error(ErrorKind::kUsage, fmt::format("values has {} numbers for {} classes", config.values_size(), classes),
                kPath, "give one for each class, or balanced: true");
  if (config.values_size() == 0) throw Error(ErrorKind::kUsage, "it is empty", kPath, "set balanced: true, or values");
}

}  // namespace lockstep::data
