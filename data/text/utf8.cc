#include "data/text/utf8.h"

#include <fmt/format.h>

#include <cstring>

namespace lockstep::data {

Character CharacterAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const auto trails = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const size_t left = text.size() - at;
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  if (first >= 0xC2 && first < 0xE0 && left >= 2 && trails(1))
    return {(first & 0x1F) << 6 | (byte(1) & 0x3Fu), 2, true};
  if (first >= 0xE0 && first < 0xF0 && left >= 3 && trails(1) && trails(2)) {
    const char32_t value = (first & 0xF) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
    if (value >= 0x800 && (value < 0xD800 || value >= 0xE000)) return {value, 3, true};
  }
  if (first >= 0xF0 && first < 0xF5 && left >= 4 && trails(1) && trails(2) && trails(3)) {
    const char32_t value = (first & 0x7) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu);
    if (value >= 0x10000 && value < 0x110000) return {value, 4, true};
  }
  return {};
}

std::string_view WithoutByteOrderMark(std::span<const std::byte> bytes) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

size_t ValidPrefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight = 0;
    if (text.size() - at >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & 0x8080808080808080u) == 0) {
        at += sizeof(eight);
        continue;
      }
    }
    const Character character = CharacterAt(text, at);
    if (!character.valid) break;
    at += character.bytes;
  }
  return at;
}

void AppendCharacter(char32_t code_point, std::string& text) {
  const auto push = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) return push(code_point);
  if (code_point < 0x800) {
    push(0xC0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      push(0xE0 | code_point >> 12);
    } else {
      push(0xF0 | code_point >> 18);
      push(0x80 | (code_point >> 12 & 0x3F));
    }
    push(0x80 | (code_point >> 6 & 0x3F));
  }
  push(0x80 | (code_point & 0x3F));
}

bool IsWhiteSpace(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string NameCharacter(std::string_view text, size_t at) {
  const Character character = CharacterAt(text, at);
  if (!character.valid) return fmt::format("byte 0x{:02X}, which is no UTF-8", static_cast<uint8_t>(text[at]));
  const auto value = static_cast<uint32_t>(character.code_point);
  const bool control = value < 0x20 || (value >= 0x7F && value < 0xA0) || (value >= 0x200B && value <= 0x200F) ||
                       (value >= 0x2028 && value <= 0x202E);
  if (control) return fmt::format("U+{:04X}", value);
  return fmt::format("U+{:04X} '{}'", value, text.substr(at, character.bytes));
}

}  // namespace lockstep::data
