#include "base/error.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/metrics/edit_distance.h"

namespace lockstep::evaluate {
namespace {

enum Count { kWordErrors, kWords, kLetterErrors, kLetters, kExact, kTranscripts };

double Rate(int64_t part, int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

class SpeechScorer final : public Scorer {
 public:
  explicit SpeechScorer(std::shared_ptr<const data::Dataset> dataset) : dataset_(std::move(dataset)) {}

  void Score(int, const data::LaneBatch& block, const Output& output, Scores& scores) override {
    auto& counts = scores.counts;
    const std::span<const std::byte> bytes = output("path");
    const std::span<const int32_t> lengths = LengthsOf(block);
    const size_t steps = bytes.size() / sizeof(int32_t) / lengths.size();
    const std::span<const int32_t> path(reinterpret_cast<const int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t));
    for (size_t row = 0; row < block.samples.picks.size(); ++row) {
      const auto length = static_cast<size_t>(lengths[row]);
      const std::string written = dataset_->TextOf(metrics::CollapsePath(path.subspan(row * steps, length)));
      Tell(block.samples.picks[row].id, written);
      const std::string reference = dataset_->Reference(0, block.samples.picks[row].id);
      const metrics::ErrorCount words = metrics::WordErrors(written, reference);
      const metrics::ErrorCount letters = metrics::CharacterErrors(written, reference);
      counts[kWordErrors] += words.errors;
      counts[kWords] += words.length;
      counts[kLetterErrors] += letters.errors;
      counts[kLetters] += letters.length;
      counts[kExact] += written == reference ? 1 : 0;
      counts[kTranscripts] += 1;
    }
  }

  std::vector<metrics::Metric> Result(const Scores& scores) const override {
    const auto& counts = scores.counts;
    return {{"wer", Rate(counts[kWordErrors], counts[kWords])},
            {"cer", Rate(counts[kLetterErrors], counts[kLetters])},
            {"exact", Rate(counts[kExact], counts[kTranscripts])}};
  }

 private:
  static std::span<const int32_t> LengthsOf(const data::LaneBatch& block) {
    for (size_t i = 0; i < block.fields.size(); ++i)
      if (block.fields[i].name == "length")
        return {reinterpret_cast<const int32_t*>(block.data[i]), static_cast<size_t>(block.fields[i].shape[0])};
    CHECK(false, "the samples have no lengths");
    return {};
  }

  const std::shared_ptr<const data::Dataset> dataset_;
};

}  // namespace

std::unique_ptr<Scorer> MakeSpeechScorer(std::shared_ptr<const data::Dataset> dataset) {
  return std::make_unique<SpeechScorer>(std::move(dataset));
}

}  // namespace lockstep::evaluate
