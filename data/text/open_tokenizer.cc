#include "data/text/open_tokenizer.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/text/load_text.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "data/text/sentences/parallel_text.h"
#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/character_tokenizer.h"
#include "data/text/tokenizers/tokenizer_json.h"

namespace lockstep::data {
namespace {

std::shared_ptr<const Tokenizer> OpenAnyTokenizer(const DataConfig& config) {
  const TokenizerConfig& tokenizer = config.tokenizer();
  switch (tokenizer.kind_case()) {
    case TokenizerConfig::kBytes:
      return MakeByteTokenizer();
    case TokenizerConfig::kByteLevelBpe:
      return OpenByteLevelBpe(tokenizer.byte_level_bpe().vocabulary(), tokenizer.byte_level_bpe().merges());
    case TokenizerConfig::kTokenizerJson:
      return OpenTokenizerJson(tokenizer.tokenizer_json());
    case TokenizerConfig::kSentencepiece:
      return OpenSentencePiece(tokenizer.sentencepiece());
    case TokenizerConfig::kCharacters:
    case TokenizerConfig::KIND_NOT_SET:
      break;
  }
  if (const std::string& letters = tokenizer.characters().letters(); !letters.empty())
    return MakeCharacterTokenizer(letters);
  if (config.train().has_text()) {
    const std::string& file = config.train().text().file();
    const std::string text = LoadText(file, "data.train.text.file", /*any_bytes=*/false);
    return NamingFile(file, [&] { return MakeCharacterTokenizer(text); });
  }
  if (tokenizer.has_characters() && config.train().has_parallel()) {
    const ParallelLines lines = LoadParallelLines(config.train().parallel(), "data.train.parallel");
    return MakeCharacterTokenizer(fmt::format("{}{}", fmt::join(lines.source, ""), fmt::join(lines.target, "")));
  }
  if (tokenizer.has_characters()) {
    throw Error(ErrorKind::kUsage, "there is no training text whose characters could be taken",
                "data.tokenizer.characters", "set data.train.text or parallel, or another tokenizer");
  }
  return nullptr;
}

std::string FileOf(const TokenizerConfig& tokenizer) {
  if (tokenizer.has_byte_level_bpe()) return tokenizer.byte_level_bpe().vocabulary();
  return tokenizer.has_tokenizer_json() ? tokenizer.tokenizer_json() : tokenizer.sentencepiece();
}

}  // namespace

std::shared_ptr<const Tokenizer> OpenTokenizer(const DataConfig& config) {
  std::shared_ptr<const Tokenizer> tokenizer = OpenAnyTokenizer(config);
  const std::string& expected = config.tokenizer().fingerprint();
  if (tokenizer == nullptr || expected.empty()) return tokenizer;
  if (const std::string found = HashText(tokenizer->fingerprint()); found != expected)
    throw Error(
        ErrorKind::kData,
        fmt::format("this is another vocabulary (fingerprint {}) than the run began with ({})", found, expected),
        FileOf(config.tokenizer()), "put the old file back, or name it in the run's recipe.textproto");
  return tokenizer;
}

SentenceVocabulary OpenSentenceVocabulary(const DataConfig& config) {
  return RequireSentenceVocabulary(OpenTokenizer(config));
}

}  // namespace lockstep::data
