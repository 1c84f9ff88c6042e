#include "trainer/metrics/metrics.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace lockstep::metrics {

EvaluationSum::EvaluationSum(Task task, std::vector<std::string> counters)
    : task_(task), counters_(std::move(counters)), counts_(counters_.size()) {}

void EvaluationSum::Add(std::span<const double> losses, std::span<const int64_t> counts) {
  CHECK(counts.size() == counts_.size(), "{} counts, {} expected", counts.size(), counts_.size());
  CHECK(losses_.empty() || losses.size() == losses_.size(), "{} losses, {} before", losses.size(), losses_.size());
  losses_.resize(losses.size());
  for (size_t i = 0; i < losses.size(); ++i) losses_[i] += losses[i];
  for (size_t i = 0; i < counts.size(); ++i) counts_[i] += counts[i];
}

std::vector<Metric> EvaluationSum::Result(std::span<const uint64_t> denominators) const {
  CHECK(denominators.size() >= std::max<size_t>(losses_.size(), 1));
  double loss = 0;
  for (size_t i = 0; i < losses_.size(); ++i) loss += losses_[i] / static_cast<double>(denominators[i]);
  const auto divisor = static_cast<double>(denominators[0]);
  if (losses_.empty()) loss = 0 / divisor;
  std::vector<Metric> metrics = {{"loss", loss}};
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (task_ == Task::kSpeech) continue;  // how many transcripts can't be aligned is no measure of a model
    metrics.push_back(
        {counters_[i] == "correct" ? "accuracy" : counters_[i], static_cast<double>(counts_[i]) / divisor});
  }
  if (task_ == Task::kLanguageModel || task_ == Task::kTranslation) metrics.push_back({"perplexity", std::exp(loss)});
  return metrics;
}

std::string Format(std::span<const Metric> metrics) {
  std::string text;
  for (const Metric& metric : metrics) {
    text += fmt::format("{}{}={:.4f}", text.empty() ? "" : " ", metric.name, metric.value);
  }
  return text;
}

}  // namespace lockstep::metrics
