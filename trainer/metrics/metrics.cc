#include "trainer/metrics/metrics.h"

#include <cmath>
#include <utility>

#include "base/error.h"

namespace lockstep::metrics {

EvaluationSum::EvaluationSum(Task task, std::vector<std::string> counters)
    : task_(task), counters_(std::move(counters)), counts_(counters_.size()) {}

void EvaluationSum::Add(double loss, std::span<const int64_t> counts) {
  CHECK(counts.size() == counts_.size(), "{} counts, {} expected", counts.size(), counts_.size());
  loss_ += loss;
  for (size_t i = 0; i < counts.size(); ++i) counts_[i] += counts[i];
}

std::vector<Metric> EvaluationSum::Result(int64_t denominator) const {
  const auto divisor = static_cast<double>(denominator);
  std::vector<Metric> metrics = {{"loss", loss_ / divisor}};
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (task_ == Task::kSpeech) continue;  // how many transcripts can't be aligned is no measure of a model
    metrics.push_back(
        {counters_[i] == "correct" ? "accuracy" : counters_[i], static_cast<double>(counts_[i]) / divisor});
  }
  if (task_ == Task::kLanguageModel || task_ == Task::kTranslation)
    metrics.push_back({"perplexity", std::exp(loss_ / divisor)});
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
