#include "data/text/tokenizers/byte_level_tokenizer.h"

#include <algorithm>

#include "data/text/tokenizers/token_errors.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

std::vector<AddedToken> Select(const std::vector<AddedToken>& tokens, bool normalized,
                               const std::vector<Normalization>& normalizations) {
  std::vector<AddedToken> selected;
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    selected.push_back(token);
    if (normalized) selected.back().content = NormalizeText(token.content, normalizations);
  }
  return selected;
}

/// Bytes that print in Latin-1 are characters of their own value; the 68 others are U+0100 and up, in order.
bool IsOwnCharacter(uint32_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

std::vector<int> ByteByCharacter() {
  std::vector<int> bytes(0x100 + 68, -1);
  uint32_t others = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<uint32_t>(byte);
    bytes[IsOwnCharacter(value) ? value : others++] = byte;
  }
  return bytes;
}

}  // namespace

std::string BytesOfToken(std::string_view token) {
  static const std::vector<int> kByteByCharacter = ByteByCharacter();
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const Character character = CharacterAt(token, at);
    const bool known = character.valid && character.code_point < kByteByCharacter.size();
    const int byte = known ? kByteByCharacter[character.code_point] : -1;
    if (byte < 0) return std::string(token);
    bytes.push_back(static_cast<char>(byte));
    at += character.bytes;
  }
  return bytes;
}

struct ByteLevelTokenizer::Memory {
  RegexMemory regex;
  BytePairEncoder::Memory words;
};

/// One call of Encode.
struct ByteLevelTokenizer::Job {
  std::string_view text;  ///< the whole
  Memory& memory;
  std::vector<int32_t>& ids;
};

ByteLevelTokenizer::ByteLevelTokenizer(ByteLevelParts parts)
    : encoder_(std::move(parts.vocabulary)),
      pre_tokenizer_(std::move(parts.steps)),
      normalizations_(std::move(parts.normalizations)),
      raw_tokens_(Select(parts.added_tokens, false, normalizations_)),
      normalized_tokens_(Select(parts.added_tokens, true, normalizations_)),
      end_(parts.end),
      begin_(parts.begin),
      padding_(parts.padding) {
  for (const std::string& token : encoder_.vocabulary().tokens) {
    texts_.push_back(token.empty() ? std::nullopt : std::optional(token));
  }
  for (const AddedToken& token : parts.added_tokens) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= texts_.size()) texts_.resize(id + 1);
    texts_[id] = token.content;
  }
  size_ = static_cast<int32_t>(texts_.size());

  Hasher hasher;
  hasher.Add("byte-level 1:");
  encoder_.vocabulary().AddTo(hasher);
  pre_tokenizer_.AddTo(hasher);
  for (Normalization normalization : normalizations_) hasher.AddInteger(static_cast<uint64_t>(normalization) + 1);
  raw_tokens_.AddTo(hasher);
  normalized_tokens_.AddTo(hasher);
  for (int32_t id : {end_, begin_, padding_}) hasher.AddInteger(static_cast<uint64_t>(id));
  fingerprint_ = hasher.Digest();
}

ByteLevelTokenizer::~ByteLevelTokenizer() = default;

std::unique_ptr<ByteLevelTokenizer::Memory> ByteLevelTokenizer::TakeMemory() const {
  {
    const MutexLock lock(mutex_);
    if (!free_.empty()) {
      auto memory = std::move(free_.back());
      free_.pop_back();
      return memory;
    }
  }
  return std::make_unique<Memory>();
}

void ByteLevelTokenizer::Encode(std::string_view text, std::vector<int32_t>& ids) const {
  std::unique_ptr<Memory> memory = TakeMemory();
  const Job job{text, *memory, ids};
  for (std::string_view rest = text; !rest.empty();) {
    const size_t valid = ValidPrefix(rest);
    if (valid > 0) EncodeValid(rest.substr(0, valid), job);
    rest.remove_prefix(valid);
    size_t invalid = 0;
    while (invalid < rest.size() && !CharacterAt(rest, invalid).valid) ++invalid;
    if (invalid > 0) EncodeWord(rest.substr(0, invalid), job);
    rest.remove_prefix(invalid);
  }
  const MutexLock lock(mutex_);
  free_.push_back(std::move(memory));
}

void ByteLevelTokenizer::EncodeValid(std::string_view text, const Job& job) const {
  raw_tokens_.Split(
      text,
      [&](std::string_view piece) {
        if (IsNormalized(piece, normalizations_)) {
          EncodeNormalized(piece, job);
        } else {
          EncodeNormalized(NormalizeText(piece, normalizations_), job);
        }
      },
      [&](int32_t id) { job.ids.push_back(id); });
}

void ByteLevelTokenizer::EncodeNormalized(std::string_view text, const Job& job) const {
  normalized_tokens_.Split(
      text,
      [&](std::string_view piece) {
        pre_tokenizer_.Split(piece, job.memory.regex, [&](std::string_view word) { EncodeWord(word, job); });
      },
      [&](int32_t id) { job.ids.push_back(id); });
}

void ByteLevelTokenizer::EncodeWord(std::string_view word, const Job& job) const {
  if (encoder_.Encode(word, job.memory.words, job.ids)) return;
  // Vocabularies without some bytes are rare: only here is it looked up which. Normalization may have made a character
  // that the text has in another form; then the word tells.
  for (const std::string_view text : {job.text, word}) {
    for (size_t at = 0; at < text.size();) {
      const uint32_t bytes = CharacterAt(text, at).bytes;
      for (uint32_t i = 0; i < bytes; ++i) {
        if (!encoder_.has_byte(static_cast<uint8_t>(text[at + i]))) throw LacksCharacter(text, at);
      }
      at += bytes;
    }
  }
  CHECK(false, "no byte of the word is missing");
}

std::string ByteLevelTokenizer::Decode(std::span<const int32_t> ids) const {
  std::string text;
  for (int32_t id : ids) {
    if (id < 0 || id >= size_ || !texts_[static_cast<size_t>(id)]) throw NoSuchId(id, size_);
    text += *texts_[static_cast<size_t>(id)];
  }
  return text;
}

}  // namespace lockstep::data
