// UTF-8 as the grammar of RFC 3629, section 4, has it.
#include "data/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::data {
namespace {

struct Range {
  int least, most;
};

/// The lines of the grammar: which bytes follow each other in a character.
const std::vector<std::vector<Range>> kGrammar = {{{0x00, 0x7F}},
                                                  {{0xC2, 0xDF}, {0x80, 0xBF}},
                                                  {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}},
                                                  {{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}},
                                                  {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}},
                                                  {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}},
                                                  {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
                                                  {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
                                                  {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}}};

/// Bytes of the character that `text` begins with; 0 where it begins with none.
size_t LengthByGrammar(std::string_view text) {
  for (const std::vector<Range>& line : kGrammar) {
    size_t fits = 0;
    while (fits < line.size() && fits < text.size() && static_cast<uint8_t>(text[fits]) >= line[fits].least &&
           static_cast<uint8_t>(text[fits]) <= line[fits].most) {
      ++fits;
    }
    if (fits == line.size()) return fits;
  }
  return 0;
}

TEST(Utf8, CharactersAreThoseOfTheGrammar) {
  const std::array<char, 9> edges = {'\x00', '\x7F', '\x80', '\x8F', '\x90', '\x9F', '\xA0', '\xBF', '\xC0'};
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      for (const char third : edges) {
        for (const char fourth : edges) {
          const std::string text = {static_cast<char>(first), static_cast<char>(second), third, fourth};
          for (size_t size = 1; size <= text.size(); ++size) {
            const std::string_view front = std::string_view(text).substr(0, size);
            const Character character = CharacterAt(front, 0);
            const size_t expected = LengthByGrammar(front);
            // (An assertion for each of these would take seconds.)
            const bool as_expected = expected > 0
                                         ? character.valid && character.bytes == expected
                                         : !character.valid && character.bytes == 1 && character.code_point == 0xFFFD;
            if (!as_expected) FAIL() << "bytes " << first << ", " << second << ", size " << size;
          }
        }
      }
    }
  }
}

TEST(Utf8, EveryCodePointComesBack) {
  std::string text;
  std::vector<char32_t> expected;
  for (char32_t code_point = 0; code_point <= 0x10FFFF; code_point += code_point < 0x3000 ? 1 : 61) {
    if (code_point >= 0xD800 && code_point < 0xE000) continue;
    AppendCharacter(code_point, text);
    expected.push_back(code_point);
  }
  std::vector<char32_t> found;
  for (size_t at = 0; at < text.size(); at += CharacterAt(text, at).bytes)
    found.push_back(CharacterAt(text, at).code_point);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(ValidPrefix(text), text.size());
}

TEST(Utf8, TheFirstByteThatIsNoneIsFound) {
  for (const std::string& bad : {std::string("\xFF"), std::string("\xC3"), std::string("\xED\xA0\x80")}) {
    for (size_t before = 0; before < 20; ++before) {
      EXPECT_EQ(ValidPrefix(std::string(before, 'a') + bad + "aaaaaaaaaaaa"), before);
      EXPECT_EQ(ValidPrefix(std::string(before, 'a') + "\xC3\xA9" + bad), before + 2);
    }
  }
}

}  // namespace
}  // namespace lockstep::data
