#include <algorithm>
#include <cstring>
#include <map>

#include "base/error.h"
#include "data/batches/length_classes.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/infer/beam_search.h"
#include "trainer/metrics/bleu.h"
#include "trainer/metrics/chrf.h"
#include "trainer/step/compute.h"

namespace lockstep::evaluate {
namespace {

using metrics::BleuCounts;
using metrics::ChrfCounts;

// Sentences side by side: with their beams as many rows as a product takes well.
constexpr int64_t kSentences = 16;

/// A field of a block, row by row.
struct Column {
  const int32_t* data = nullptr;
  int64_t positions = 1;

  Column(const data::LaneBatch& block, const std::string& name) {
    for (size_t i = 0; i < block.fields.size(); ++i) {
      if (block.fields[i].name != name) continue;
      data = reinterpret_cast<const int32_t*>(block.data[i]);
      positions = block.fields[i].shape.size() / block.fields[i].shape[0];
    }
    CHECK(data != nullptr, "the samples have no {}", name);
  }
};

class TranslationScorer final : public Scorer {
 public:
  explicit TranslationScorer(const TranslationOptions& options)
      : options_(options), decoders_(static_cast<size_t>(options.executors)) {
    const data::SentenceMarks marks = options.dataset->marks();
    search_.beam = options.beam;
    search_.begin = marks.begin;
    search_.end = marks.end;
    search_.never = {marks.begin};
  }

  void Begin() override {
    ++evaluation_;
    options_.compute->FetchWeights();
  }

  void Score(int executor, const data::LaneBatch& block, const Output&, Scores& scores) override {
    const Column source(block, "source"), length(block, "source_length");
    const auto rows = static_cast<int64_t>(block.samples.picks.size());
    infer::Decoder& decoder = DecoderFor(executor, source.positions);
    for (int64_t first = 0; first < rows; first += kSentences) {
      const int64_t count = std::min(kSentences, rows - first);
      // Rows that no sentence fills translate one of a single token, unread.
      std::vector<int32_t> tokens(static_cast<size_t>(kSentences * source.positions)), lengths(kSentences, 1);
      std::copy_n(source.data + first * source.positions, count * source.positions, tokens.begin());
      std::copy_n(length.data + first, count, lengths.begin());
      const std::vector<infer::Hypothesis> best = SearchBeams(decoder, tokens, lengths, search_);
      options_.compute->comm().recorder().Progress();  // a block may take longer than the watchdog waits
      for (int64_t row = 0; row < count; ++row) {
        const uint64_t id = block.samples.picks[static_cast<size_t>(first + row)].id;
        const std::string written = options_.dataset->TextOf(best[static_cast<size_t>(row)].tokens);
        Tell(id, written);
        Count(written, options_.dataset->Reference(0, id), scores);
      }
    }
  }

  std::vector<metrics::Metric> Result(const Scores& scores) const override {
    BleuCounts bleu;
    ChrfCounts chrf;
    std::copy_n(scores.counts.begin(), bleu.values.size(), bleu.values.begin());
    std::copy_n(scores.counts.begin() + BleuCounts::kSize, chrf.values.size(), chrf.values.begin());
    return {{"bleu", metrics::Bleu(bleu)}, {"chrf", metrics::Chrf(chrf)}};
  }

 private:
  static_assert(BleuCounts::kSize + ChrfCounts::kSize <= std::tuple_size_v<decltype(Scores::counts)>);

  static void Count(const std::string& written, const std::string& reference, Scores& scores) {
    const BleuCounts bleu = metrics::CountBleu(written, reference);
    const ChrfCounts chrf = metrics::CountChrf(written, reference);
    for (size_t i = 0; i < bleu.values.size(); ++i) scores.counts[i] += bleu.values[i];
    for (size_t i = 0; i < chrf.values.size(); ++i) scores.counts[BleuCounts::kSize + i] += chrf.values[i];
  }

  /// The executor's decoder of sources of `positions`, ready for this evaluation's weights.
  infer::Decoder& DecoderFor(int executor, int64_t positions) {
    Prepared& prepared = decoders_[static_cast<size_t>(executor)][positions];
    if (prepared.decoder == nullptr) {
      const infer::Decoder::Options options = TranslationDecoder(positions, search_.beam);
      const infer::Weights weights{*options_.layout, *options_.backend, options_.compute->weights().data()};
      prepared.decoder = std::make_unique<infer::Decoder>(options_.model, weights, options);
    } else if (prepared.evaluation != evaluation_) {
      prepared.decoder->PackWeights();
    }
    prepared.evaluation = evaluation_;
    return *prepared.decoder;
  }

  struct Prepared {
    std::unique_ptr<infer::Decoder> decoder;
    int evaluation = 0;  ///< whose weights it has
  };

  const TranslationOptions options_;
  infer::BeamOptions search_;
  int evaluation_ = 0;
  std::vector<std::map<int64_t, Prepared>> decoders_;  ///< by executor, then positions of the source
};

}  // namespace

infer::Decoder::Options TranslationDecoder(int64_t positions, int beam) {
  return {.rows = kSentences * beam,
          .capacity = positions + infer::BeamOptions{}.most_extra,
          .source = positions,
          .sources = kSentences};
}

std::unique_ptr<Scorer> MakeTranslationScorer(const TranslationOptions& options) {
  return std::make_unique<TranslationScorer>(options);
}

}  // namespace lockstep::evaluate
