#include "data/open/resolve_vocabulary.h"

#include <numeric>
#include <vector>

#include "base/hash.h"
#include "data/audio/open_speech.h"
#include "data/text/open_tokenizer.h"

namespace lockstep::data {

std::shared_ptr<const Tokenizer> ResolveVocabulary(DataConfig& config) {
  if (config.train().has_speech() && config.alphabet().empty())
    config.set_alphabet(MakeSpeechOptions(config).alphabet->letters());

  const std::shared_ptr<const Tokenizer> tokenizer = OpenTokenizer(config);
  if (tokenizer == nullptr) return nullptr;
  TokenizerConfig& resolved = *config.mutable_tokenizer();
  switch (resolved.kind_case()) {
    case TokenizerConfig::kCharacters:
    case TokenizerConfig::KIND_NOT_SET:
      if (resolved.characters().letters().empty()) {
        std::vector<int32_t> ids(static_cast<size_t>(tokenizer->size()));
        std::iota(ids.begin(), ids.end(), 0);
        resolved.mutable_characters()->set_letters(tokenizer->Decode(ids));
      }
      break;
    case TokenizerConfig::kByteLevelBpe:
    case TokenizerConfig::kTokenizerJson:
    case TokenizerConfig::kSentencepiece:
      resolved.set_fingerprint(HashText(tokenizer->fingerprint()));
      break;
    case TokenizerConfig::kBytes:
      break;
  }
  return tokenizer;
}

}  // namespace lockstep::data
