// What a model's answers to a split are worth beside its loss: how many words of transcripts are wrong, how many
// n-grams of translations are right, how far values are from the true ones. Counted block by block, and added in the
// order of blocks: they add up alike on any number of ranks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/batches/loader.h"
#include "trainer/infer/decoder.h"
#include "trainer/infer/detector.h"
#include "trainer/infer/predictor.h"
#include "trainer/metrics/metrics.h"

namespace lockstep::comm {
class Communicator;
}  // namespace lockstep::comm
namespace lockstep::step {
class ForwardCompute;
}  // namespace lockstep::step

namespace lockstep::evaluate {

/// What answers to a block, or to several, count. Plain data: travels as bytes.
struct Scores {
  std::array<int64_t, 32> counts = {};
  std::array<double, 2> sums = {};

  void Add(const Scores& block) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += block.counts[i];
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += block.sums[i];
  }
};

class Scorer {
 public:
  /// A named output of the evaluation program's last run.
  using Output = std::function<std::span<const std::byte>(const std::string& name)>;

  /// Told what the model wrote of a sample of the split, or of a picture with boxes its metrics::Detections as they lie
  /// in memory; called by executors side by side.
  using OnText = std::function<void(uint64_t sample, const std::string& text)>;

  virtual ~Scorer() = default;
  /// Of scorers of models that write, or find boxes: whom to tell of each text.
  void TellTexts(OnText on_text) { on_text_ = std::move(on_text); }
  /// Called before each evaluation, when its weights stand.
  virtual void Begin() {}
  /// Adds what the answers to `block` count. Called by executors side by side, each with its number.
  virtual void Score(int executor, const data::LaneBatch& block, const Output& output, Scores& scores) = 0;
  /// Called after the last block. Collective: ranks tell each other what they keep of answers beside what is counted.
  virtual void Share(comm::Communicator& /*comm*/) {}
  virtual std::vector<metrics::Metric> Result(const Scores& scores) const = 0;

 protected:
  void Tell(uint64_t sample, const std::string& text) const {
    if (on_text_) on_text_(sample, text);
  }

 private:
  OnText on_text_;
};

/// Makes what scores answers to a split, called once for each. What it takes of `compute` outlives the scorer.
using ScorerFactory =
    std::function<std::shared_ptr<Scorer>(std::shared_ptr<const data::Dataset> split, step::ForwardCompute& compute)>;

/// Word and character error rates ("wer", "cer") and the share of transcripts without any error ("exact"), of the
/// greedy reading of the program's output "path" i32 [rows, time]. `dataset` knows transcripts and letters.
std::unique_ptr<Scorer> MakeSpeechScorer(std::shared_ptr<const data::Dataset> dataset);

/// "mae" and "r2" of values in the targets' own unit, their means over targets, as metrics::MeasureRegression defines
/// them (R2 is left out where it isn't defined), of the program's output "prediction" [rows, targets]. `dataset` has
/// "target" f32 [targets], and all its samples are read once: tables, which lie in memory. `form` is that of the run's
/// answers.
std::unique_ptr<Scorer> MakeRegressionScorer(std::shared_ptr<const data::Dataset> dataset, infer::AnswerForm form);

/// COCO's "ap" (IoU 0.5:0.95) and "ap50", and "ap50_all_points", the mean over classes of the whole area under
/// precision over recall, of the program's outputs (infer::DetectorForm::outputs). `dataset` has pictures with boxes.
std::unique_ptr<Scorer> MakeDetectionScorer(std::shared_ptr<const data::Dataset> dataset,
                                            const infer::DetectorForm& form);

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
/// The decoder that each executor has for blocks of sources of `positions`.
infer::Decoder::Options TranslationDecoder(int64_t positions, int beam = TranslationOptions{}.beam);
/// "bleu" and "chrf" of translations by beam search.
std::unique_ptr<Scorer> MakeTranslationScorer(const TranslationOptions& options);

}  // namespace lockstep::evaluate
