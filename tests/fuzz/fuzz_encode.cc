// Any bytes as text for tokenizers with whole vocabularies of bytes: tokens that decode to the text.
//
// The first byte chooses the pattern that cuts words.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/text/tokenizers/byte_level_tokenizer.h"

namespace {

using namespace lockstep::data;

constexpr std::string_view kPatterns[] = {
    kGpt2Pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[\d_]+|.)",
};

/// Bytes, and every pair of lower-case letters.
std::unique_ptr<Tokenizer> Make(std::string_view pattern) {
  ByteLevelParts parts;
  for (int byte = 0; byte < 256; ++byte) parts.vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  for (char left = 'a'; left <= 'z'; ++left) {
    for (char right = 'a'; right <= 'z'; ++right) {
      parts.vocabulary.merges.push_back({left, right, static_cast<int32_t>(parts.vocabulary.tokens.size())});
      parts.vocabulary.tokens.push_back({left, right});
    }
  }
  const auto next = static_cast<int32_t>(parts.vocabulary.tokens.size());
  parts.added_tokens = {{.id = next, .content = "<a>"}, {.id = next + 1, .content = "<a><b>", .normalized = true}};
  SplitStep& step = parts.steps.emplace_back();
  step.pattern = pattern;
  step.regex = Regex::FromOniguruma(pattern);
  return std::make_unique<ByteLevelTokenizer>(std::move(parts));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<Tokenizer> tokenizers[] = {Make(kPatterns[0]), Make(kPatterns[1]), Make(kPatterns[2])};
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Tokenizer& tokenizer = *tokenizers[data[0] % std::size(tokenizers)];
  std::vector<int32_t> ids;
  tokenizer.Encode(text, ids);
  CHECK(tokenizer.Decode(ids) == text);
  return 0;
}
