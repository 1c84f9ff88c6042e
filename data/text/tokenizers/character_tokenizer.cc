#include "data/text/tokenizers/character_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "data/text/tokenizers/token_errors.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

class CharacterTokenizer : public Tokenizer {
 public:
  explicit CharacterTokenizer(std::string_view corpus) {
    std::vector<bool> seen(0x110000);
    for (size_t at = 0; at < corpus.size();) {
      const Character character = CharacterAt(corpus, at);
      if (!character.valid) {
        throw Error(ErrorKind::kData,
                    fmt::format("the text an alphabet is taken from has {}, at byte {}", NameCharacter(corpus, at), at),
                    "", "the text must be UTF-8: convert it with iconv");
      }
      seen[character.code_point] = true;
      at += character.bytes;
    }
    for (char32_t value = 0; value < seen.size(); ++value) {
      if (!seen[value]) continue;
      ids_.resize(value + 1, -1);
      ids_[value] = static_cast<int32_t>(alphabet_.size());
      AppendCharacter(value, alphabet_.emplace_back());
    }
    if (alphabet_.empty()) {
      throw Error(ErrorKind::kData, "the text an alphabet is taken from is empty", "", "name a file that has text");
    }
  }

  int32_t size() const override { return static_cast<int32_t>(alphabet_.size()); }

  void Encode(std::string_view text, std::vector<int32_t>& ids) const override {
    ids.reserve(ids.size() + text.size());
    for (size_t at = 0; at < text.size();) {
      const Character character = CharacterAt(text, at);
      const int32_t id = character.valid && character.code_point < ids_.size() ? ids_[character.code_point] : -1;
      if (id < 0) throw LacksCharacter(text, at);
      ids.push_back(id);
      at += character.bytes;
    }
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (int32_t id : ids) {
      if (id < 0 || id >= size()) throw NoSuchId(id, size());
      text += alphabet_[static_cast<size_t>(id)];
    }
    return text;
  }

  uint64_t fingerprint() const override {
    Hasher hasher;
    hasher.Add("characters 1:");
    for (const std::string& character : alphabet_) hasher.Add(character);
    return hasher.Digest();
  }

 private:
  std::vector<std::string> alphabet_;  ///< by id
  std::vector<int32_t> ids_;           ///< by code point, -1 for those that are not in the alphabet
};

class ByteTokenizer : public Tokenizer {
 public:
  int32_t size() const override { return 256; }

  void Encode(std::string_view text, std::vector<int32_t>& ids) const override {
    ids.reserve(ids.size() + text.size());
    for (char c : text) ids.push_back(static_cast<uint8_t>(c));
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (int32_t id : ids) {
      if (id < 0 || id >= size()) throw NoSuchId(id, size());
      text.push_back(static_cast<char>(id));
    }
    return text;
  }

  uint64_t fingerprint() const override { return Hash64("bytes 1"); }
  bool takes_bytes() const override { return true; }
};

}  // namespace

std::unique_ptr<Tokenizer> MakeCharacterTokenizer(std::string_view corpus) {
  return std::make_unique<CharacterTokenizer>(corpus);
}

std::unique_ptr<Tokenizer> MakeByteTokenizer() { return std::make_unique<ByteTokenizer>(); }

}  // namespace lockstep::data
