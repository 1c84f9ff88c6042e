// What a model's answers to a split are worth beside its loss: how many words of transcripts are wrong, how many
// n-grams of translations are right. Integers, counted block by block: they add up alike on any number of ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/batches/loader.h"
#include "trainer/infer/decoder.h"
#include "trainer/metrics/metrics.h"

namespace lockstep::step {
class ForwardCompute;
}  // namespace lockstep::step

namespace lockstep::evaluate {

class Scorer {
 public:
  static constexpr size_t kMostCounts = 32;
  /// Counts of a block.
  using Counts = std::span<int64_t, kMostCounts>;
  /// A named output of the evaluation program's last run.
  using Output = std::function<std::span<const std::byte>(const std::string& name)>;

  virtual ~Scorer() = default;
  /// Called before each evaluation, when its weights stand.
  virtual void Begin() {}
  /// Adds what the answers to `block` count. Called by executors side by side, each with its number.
  virtual void Score(int executor, const data::LaneBatch& block, const Output& output, Counts counts) = 0;
  virtual std::vector<metrics::Metric> Result(std::span<const int64_t, kMostCounts> counts) const = 0;
};

/// Makes what scores answers to a split, called once for each. What it takes of `compute` outlives the scorer.
using ScorerFactory =
    std::function<std::shared_ptr<Scorer>(std::shared_ptr<const data::Dataset> split, step::ForwardCompute& compute)>;

/// Word and character error rates ("wer", "cer") and the share of transcripts without any error ("exact"), of the
/// greedy reading of the program's output "path" i32 [rows, time]. `dataset` knows transcripts and letters.
std::unique_ptr<Scorer> MakeSpeechScorer(std::shared_ptr<const data::Dataset> dataset);

/// What translating takes. All outlive the scorer.
struct TranslationOptions {
  std::shared_ptr<const data::Dataset> dataset;
  int executors = 1;
  infer::DecoderModel model;
  std::shared_ptr<engine::Backend> backend;  ///< the host's: executors translate on their cores
  const engine::ParameterLayout* layout = nullptr;
  step::ForwardCompute* compute = nullptr;  ///< whose weights it translates with
  int beam = 5;
};
/// "bleu" and "chrf" of translations by beam search.
std::unique_ptr<Scorer> MakeTranslationScorer(const TranslationOptions& options);

}  // namespace lockstep::evaluate
