#include "trainer/infer/translator.h"

#include <utility>

#include "base/error.h"
#include "data/batches/length_classes.h"
#include "trainer/infer/input_text.h"

namespace lockstep::infer {

Translator::Translator(const TrainedModel& model, data::SentenceVocabulary vocabulary, int beam)
    : model_(model), vocabulary_(std::move(vocabulary)) {
  CHECK(beam >= 1);
  search_.beam = beam;
  search_.begin = vocabulary_.marks().begin;
  search_.end = vocabulary_.marks().end;
  search_.never = {search_.begin};
}

Translation Translator::Translate(std::string_view sentence) {
  RequireUtf8(sentence);
  std::vector<int32_t> tokens;
  vocabulary_.Encode(sentence, tokens);
  Translation translation;
  translation.source_tokens = tokens.size();
  translation.unknown = vocabulary_.CountUnknown(tokens);
  tokens.push_back(search_.end);
  const auto length = static_cast<int32_t>(tokens.size());
  tokens.resize(static_cast<size_t>(data::LengthClassOf(length)));
  Hypothesis best = SearchBeams(DecoderFor(static_cast<int64_t>(tokens.size())), tokens, {&length, 1}, search_).front();
  translation.text = vocabulary_.TextOf(best.tokens);
  translation.score = best.score;
  translation.tokens = std::move(best.tokens);
  return translation;
}

Decoder& Translator::DecoderFor(int64_t positions) {
  std::unique_ptr<Decoder>& decoder = decoders_[positions];
  if (decoder == nullptr)
    decoder = std::make_unique<Decoder>(
        model_.graphs().decoder, model_.weights(),
        Decoder::Options{
            .rows = search_.beam, .capacity = positions + search_.most_extra, .source = positions, .sources = 1});
  return *decoder;
}

}  // namespace lockstep::infer
