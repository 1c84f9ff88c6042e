#include "trainer/infer/ctc_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lockstep::infer {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

double LogAdd(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == kNever ? a : a + std::log1p(std::exp(b - a));
}

/// Log probabilities of a place.
std::vector<double> LogSoftmax(std::span<const float> row) {
  const auto largest = static_cast<double>(*std::max_element(row.begin(), row.end()));
  double sum = 0;
  for (float logit : row) sum += std::exp(static_cast<double>(logit) - largest);
  std::vector<double> result;
  for (float logit : row) result.push_back(static_cast<double>(logit) - largest - std::log(sum));
  return result;
}

/// Log probabilities of all paths of a prefix that end in the blank, and in its last label.
struct Paths {
  double blank = kNever, label = kNever;

  double all() const { return LogAdd(blank, label); }
};
using Prefixes = std::map<std::vector<int32_t>, Paths>;

Hypothesis Greedy(std::span<const float> logits, size_t classes) {
  Hypothesis best;
  int32_t before = 0;
  for (size_t at = 0; at < logits.size(); at += classes) {
    const std::vector<double> scores = LogSoftmax(logits.subspan(at, classes));
    const auto label = static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    best.score += scores[static_cast<size_t>(label)];
    if (label != 0 && label != before) best.tokens.push_back(label);
    before = label;
  }
  return best;
}

void Extend(const std::vector<int32_t>& prefix, const Paths& paths, const std::vector<double>& scores, Prefixes& next) {
  Paths& same = next[prefix];
  same.blank = LogAdd(same.blank, paths.all() + scores[0]);
  if (!prefix.empty()) same.label = LogAdd(same.label, paths.label + scores[static_cast<size_t>(prefix.back())]);
  std::vector<int32_t> longer = prefix;
  longer.push_back(0);
  for (size_t label = 1; label < scores.size(); ++label) {
    longer.back() = static_cast<int32_t>(label);
    // A label behind itself is a new one only where a blank lies between.
    const bool again = !prefix.empty() && prefix.back() == longer.back();
    Paths& extended = next[longer];
    extended.label = LogAdd(extended.label, (again ? paths.blank : paths.all()) + scores[label]);
  }
}

}  // namespace

Hypothesis SearchCtc(std::span<const float> logits, size_t classes, int beam) {
  CHECK(beam >= 1 && classes >= 2 && logits.size() % classes == 0);
  if (beam == 1) return Greedy(logits, classes);
  std::vector<std::pair<std::vector<int32_t>, Paths>> kept = {{{}, {.blank = 0, .label = kNever}}};
  for (size_t at = 0; at < logits.size(); at += classes) {
    const std::vector<double> scores = LogSoftmax(logits.subspan(at, classes));
    Prefixes next;
    for (const auto& [prefix, paths] : kept) Extend(prefix, paths, scores, next);
    kept.assign(next.begin(), next.end());
    // Prefixes stand in order: what is equal stays in it.
    std::stable_sort(kept.begin(), kept.end(),
                     [](const auto& a, const auto& b) { return a.second.all() > b.second.all(); });
    kept.resize(std::min(kept.size(), static_cast<size_t>(beam)));
  }
  return {kept.front().second.all(), kept.front().first};
}

}  // namespace lockstep::infer
