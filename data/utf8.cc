#include "data/utf8.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace lockstep::data {

Character CharacterAt(std::string_view text, size_t at) {
  utf8proc_int32_t code_point = -1;
  const utf8proc_ssize_t bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                       static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - at, 4)), &code_point);
  if (bytes <= 0) return {};
  return {static_cast<char32_t>(code_point), static_cast<uint32_t>(bytes), true};
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
  std::array<utf8proc_uint8_t, 4> bytes{};
  const utf8proc_ssize_t size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(size));
}

std::string ComposeText(std::string_view text) {
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t bytes =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &composed, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  CHECK(bytes >= 0, "{}", utf8proc_errmsg(bytes));
  return {reinterpret_cast<const char*>(composed), static_cast<size_t>(bytes)};
}

std::string LowerCase(std::string_view text) {
  std::string lower;
  for (size_t at = 0; at < text.size();) {
    const Character character = CharacterAt(text, at);
    AppendCharacter(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character.code_point))),
                    lower);
    at += character.bytes;
  }
  return lower;
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
