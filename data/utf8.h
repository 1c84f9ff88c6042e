// UTF-8, one character at a time, decoded by utf8proc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lockstep::data {

struct Character {
  char32_t code_point = 0xFFFD;
  uint32_t bytes = 1;
  bool valid = false;  ///< else one byte that begins no character (RFC 3629: no surrogates, no overlong forms)
};

/// The character at byte `at`. REQUIRES: at < text.size().
Character CharacterAt(std::string_view text, size_t at);

/// How many bytes of `text` are whole characters, up to the first byte that is not.
size_t ValidPrefix(std::string_view text);

/// REQUIRES: code_point <= 0x10FFFF.
void AppendCharacter(char32_t code_point, std::string& text);

/// Letters and marks composed: Unicode's normalization form NFC (UAX #15). REQUIRES: `text` is UTF-8.
std::string ComposeText(std::string_view text);
/// Each character as its simple lower case. REQUIRES: `text` is UTF-8.
std::string LowerCase(std::string_view text);

/// Unicode's property White_Space.
bool IsWhiteSpace(char32_t code_point);

/// A file's bytes as text; a byte order mark in front is left out.
std::string_view WithoutByteOrderMark(std::span<const std::byte> bytes);

/// For messages: "U+00E9 'é'", or "byte 0xFF, which is no UTF-8"; characters that don't print stand for themselves only
/// as a number.
std::string NameCharacter(std::string_view text, size_t at);

}  // namespace lockstep::data
