#include "data/text/sentencepiece/sentencepiece_normalizer.h"

#include <cstring>

#include "data/text/tokenizers/token_errors.h"
#include "data/utf8.h"

namespace lockstep::data {

SentencePieceNormalizer::SentencePieceNormalizer(const sentencepiece::NormalizerSpec& spec, bool space_at_end,
                                                 const PieceTrie& user_defined, const std::string& path)
    : add_space_(spec.add_dummy_prefix()),
      remove_spaces_(spec.remove_extra_whitespaces()),
      escape_spaces_(spec.escape_whitespaces()),
      space_at_end_(space_at_end),
      user_defined_(user_defined),
      path_(path) {
  const std::string& rules = spec.precompiled_charsmap();
  if (rules.empty()) return;
  uint32_t size = 0;
  if (rules.size() > sizeof(size)) std::memcpy(&size, rules.data(), sizeof(size));
  if (size == 0 || size % sizeof(uint32_t) != 0 || size >= rules.size() - sizeof(size) || rules.back() != '\0') {
    throw DamagedFile(path, "normalizer_spec.precompiled_charsmap is damaged");
  }
  units_.resize(size / sizeof(uint32_t));
  std::memcpy(units_.data(), rules.data() + sizeof(size), size);
  strings_ = rules.substr(sizeof(size) + size);
}

std::pair<size_t, size_t> SentencePieceNormalizer::LongestRule(std::string_view text) const {
  if (units_.empty()) return {0, 0};
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  size_t string = 0, length = 0;
  size_t node = offset(units_[0]);
  for (size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<uint8_t>(text[at]);
    node ^= byte;
    if (node >= units_.size()) break;
    const uint32_t unit = units_[node];
    if ((unit & (1u << 31 | 0xFF)) != byte) break;
    node ^= offset(unit);
    const bool has_value = (unit >> 8 & 1) != 0;
    if (!has_value) continue;
    if (node >= units_.size()) break;
    string = units_[node] & 0x7FFFFFFF;
    length = at + 1;
    if (string >= strings_.size()) throw DamagedFile(path_, "normalizer_spec.precompiled_charsmap is damaged");
  }
  return {string, length};
}

std::pair<std::string_view, size_t> SentencePieceNormalizer::NormalizePrefix(std::string_view text) const {
  if (!user_defined_.empty()) {
    if (const size_t length = user_defined_.LongestPrefix(text)) return {text.substr(0, length), length};
  }
  const auto [string, length] = LongestRule(text);
  if (length > 0) return {strings_.data() + string, length};
  const Character character = CharacterAt(text, 0);
  if (!character.valid) return {"\xEF\xBF\xBD", 1};
  return {text.substr(0, character.bytes), character.bytes};
}

std::string SentencePieceNormalizer::Normalize(std::string_view text) const {
  std::string normalized;
  while (remove_spaces_ && !text.empty()) {
    const auto [piece, length] = NormalizePrefix(text);
    if (piece != " ") break;
    text.remove_prefix(length);
  }
  if (text.empty()) return normalized;

  const std::string_view space = escape_spaces_ ? kSpaceSymbol : " ";
  normalized.reserve(text.size() + text.size() / 2 + space.size());
  if (add_space_ && !space_at_end_) normalized += space;
  bool after_space = remove_spaces_;
  while (!text.empty()) {
    auto [piece, length] = NormalizePrefix(text);
    while (after_space && piece.starts_with(' ')) piece.remove_prefix(1);
    if (!piece.empty()) after_space = remove_spaces_ && piece.ends_with(' ');
    for (char c : piece) {
      if (c == ' ') {
        normalized += space;
      } else {
        normalized += c;
      }
    }
    text.remove_prefix(length);
  }
  while (remove_spaces_ && normalized.ends_with(space)) normalized.resize(normalized.size() - space.size());
  if (add_space_ && space_at_end_) normalized += space;
  return normalized;
}

}  // namespace lockstep::data
