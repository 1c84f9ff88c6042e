// Translations of sentences, by a trained seq2seq model.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/sentences/sentence_vocabulary.h"
#include "trainer/infer/beam_search.h"
#include "trainer/infer/trained_model.h"

namespace lockstep::infer {

struct Translation {
  std::string text;
  double score = 0;             ///< log probability by token (BeamOptions::length_power)
  std::vector<int32_t> tokens;  ///< of the text
  uint64_t source_tokens = 0;   ///< of the sentence
  uint64_t unknown = 0;         ///< of these, what stands for characters that the vocabulary lacks
};

/// Answers one sentence at a time and keeps the decoder of each length that has come up (lengths are few:
/// data/batches/length_classes.h). An Error that a sentence causes concerns it alone: the next call is as good as any.
///
/// One thread at a time, which has called PrepareComputeThread.
class Translator {
 public:
  /// `vocabulary` is the one that the model was trained with; `beam` are the hypotheses that the search keeps (1: the
  /// likeliest token at each step). `model` outlives this.
  Translator(const TrainedModel& model, data::SentenceVocabulary vocabulary, int beam = BeamOptions{}.beam);

  /// Throws Error(kData), without a place, where `sentence` is no UTF-8 or holds what the vocabulary has no token for.
  Translation Translate(std::string_view sentence);

 private:
  Decoder& DecoderFor(int64_t positions);

  const TrainedModel& model_;
  const data::SentenceVocabulary vocabulary_;
  BeamOptions search_;
  std::map<int64_t, std::unique_ptr<Decoder>> decoders_;  ///< by the source's positions
};

}  // namespace lockstep::infer
