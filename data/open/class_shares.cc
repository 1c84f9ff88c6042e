#include "data/open/class_shares.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/log.h"
#include "data/rows/class_weights.h"

namespace lockstep::data {
namespace {

constexpr uint64_t kMostLookedAt = 1000000;

/// "2, 5 and 3 others": classes that `some` has and `other` lacks.
std::string LackedBy(const std::vector<uint64_t>& other, const std::vector<uint64_t>& some,
                     const SourceTraits& traits) {
  constexpr int kMostNamed = 5;
  std::string text;
  int count = 0;
  for (size_t label = 0; label < other.size(); ++label) {
    if (other[label] > 0 || some[label] == 0) continue;
    if (++count > kMostNamed) continue;
    text += text.empty() ? "" : ", ";
    text += label < traits.class_names.size() ? traits.class_names[label] : std::to_string(label);
  }
  return count > kMostNamed ? fmt::format("{} and {} others", text, count - kMostNamed) : text;
}

double SumOf(const std::vector<uint64_t>& counts) {
  double sum = 0;
  for (const uint64_t count : counts) sum += static_cast<double>(count);
  return sum;
}

}  // namespace

void WarnOfClassShares(const Dataset& train, const Dataset& other, const std::string& path) {
  if (train.classes() <= 0 || !train.uniform_labels()) return;
  const auto classes = static_cast<size_t>(train.classes());
  const std::vector<uint64_t> trained = CountClasses(train, classes, kMostLookedAt);
  const std::vector<uint64_t> evaluated = CountClasses(other, classes, kMostLookedAt);
  if (trained.empty() || evaluated.empty()) return;
  constexpr char kAdvice[] = "a file that is sorted by class is parted by data.split, not by skip and limit";
  if (const std::string lacked = LackedBy(trained, evaluated, train.traits()); !lacked.empty()) {
    LogWarning("{} has classes that are never trained on: {} ({})", path, lacked, kAdvice);
    return;
  }
  // A small part may lack rare classes by chance.
  const double samples = SumOf(evaluated), all = SumOf(trained);
  double apart = 0, expected_to_lack = 0;
  for (size_t label = 0; label < classes; ++label) {
    const double share = static_cast<double>(trained[label]) / all;
    apart += std::abs(share - static_cast<double>(evaluated[label]) / samples) / 2;
    if (evaluated[label] == 0) expected_to_lack = std::max(expected_to_lack, share * samples);
  }
  constexpr double kFew = 5, kFarApart = 0.25, kEnough = 20;
  if (expected_to_lack >= kFew)
    LogWarning("{} has no sample of some classes that are trained on: {} ({})", path,
               LackedBy(evaluated, trained, train.traits()), kAdvice);
  else if (apart > kFarApart && samples >= kEnough * static_cast<double>(std::min<size_t>(classes, 10)) / 10)
    LogWarning(
        "{} has its classes in other shares than the training data: {:.0f} % of its samples would have to change "
        "class ({})",
        path, apart * 100, kAdvice);
}

}  // namespace lockstep::data
