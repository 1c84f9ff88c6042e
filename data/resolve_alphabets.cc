#include "data/resolve_alphabets.h"

#include <memory>
#include <numeric>
#include <vector>

#include "data/open_dataset.h"
#include "data/text/tokenizer.h"

namespace lockstep::data {

void ResolveAlphabets(DataConfig& config) {
  if (config.train().has_speech() && config.alphabet().empty())
    config.set_alphabet(MakeSpeechOptions(config).alphabet->letters());

  const TokenizerConfig& tokenizer = config.tokenizer();
  const bool by_default = tokenizer.kind_case() == TokenizerConfig::KIND_NOT_SET && config.train().has_text();
  if (!by_default && !tokenizer.has_characters()) return;
  if (!tokenizer.characters().letters().empty()) return;
  const std::shared_ptr<const Tokenizer> of_text = OpenTokenizer(config);
  std::vector<int32_t> ids(static_cast<size_t>(of_text->size()));
  std::iota(ids.begin(), ids.end(), 0);
  config.mutable_tokenizer()->mutable_characters()->set_letters(of_text->Decode(ids));
}

}  // namespace lockstep::data
