// What an evaluation says of a split: sums over its blocks, and the named numbers that follow from them.
//
// Whoever adds blocks adds them in block order: sums of losses are doubles, and their order decides bits.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep::metrics {

/// One number of an evaluation. A task puts its own under its own name.
struct Metric {
  std::string name;
  double value = 0;

  friend bool operator==(const Metric&, const Metric&) = default;
};

/// What a model does, and so which numbers people look at.
enum class Task { kClassification, kRegression, kLanguageModel, kSpeech, kTranslation, kDetection };

/// Sums of losses and counters over the blocks of a split.
class EvaluationSum {
 public:
  /// `counters` are the graph's, in its order.
  EvaluationSum(Task task, std::vector<std::string> counters);

  /// Adds the next block. REQUIRES: as many losses as in the blocks before, and one count for each counter.
  void Add(std::span<const double> losses, std::span<const int64_t> counts);

  /// "loss" first, the sum of all losses' means, then a rate for each counter: "accuracy" for "correct", else the
  /// counter's name; of a language model "perplexity", exp(loss). `denominators`: what each loss is divided by, the
  /// split's samples or labels, and rates by the first; what is divided by 0 is NaN.
  std::vector<Metric> Result(std::span<const uint64_t> denominators) const;

 private:
  Task task_;
  std::vector<std::string> counters_;
  std::vector<double> losses_;
  std::vector<int64_t> counts_;
};

/// "loss=0.0123 accuracy=0.9941": four decimals, as in the last line of a run.
std::string Format(std::span<const Metric> metrics);

}  // namespace lockstep::metrics
