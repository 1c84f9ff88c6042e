#include "trainer/metrics/white_space.h"

#include <algorithm>
#include <array>

namespace lockstep::metrics {
namespace {

constexpr std::array<std::string_view, 19> kWideBlanks = {
    "\xC2\x85",      // U+0085
    "\xC2\xA0",      // U+00A0
    "\xE1\x9A\x80",  // U+1680
    "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85",
    "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A",  // U+2000 to U+200A
    "\xE2\x80\xA8", "\xE2\x80\xA9",                                                  // U+2028 and U+2029
    "\xE2\x80\xAF",                                                                  // U+202F
    "\xE2\x81\x9F",                                                                  // U+205F
    "\xE3\x80\x80",                                                                  // U+3000
};

}  // namespace

size_t BlankBytes(std::string_view text) {
  if (text.empty()) return 0;
  const auto first = static_cast<unsigned char>(text[0]);
  // Unlike Unicode's White_Space, Python's has the four separators from 0x1C.
  if (first < 0x80) return first == ' ' || (first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x1F) ? 1 : 0;
  if (first < 0xC2 || first > 0xE3) return 0;
  const auto* blank = std::find_if(kWideBlanks.begin(), kWideBlanks.end(),
                                   [&](std::string_view bytes) { return text.starts_with(bytes); });
  return blank == kWideBlanks.end() ? 0 : blank->size();
}

std::vector<std::string_view> WordsBetweenBlanks(std::string_view text) {
  std::vector<std::string_view> words;
  size_t begin = 0;
  const auto end_word = [&](size_t end) {
    if (end > begin) words.push_back(text.substr(begin, end - begin));
  };
  for (size_t at = 0; at < text.size();) {
    const size_t blank = BlankBytes(text.substr(at));
    if (blank == 0) {
      ++at;
      continue;
    }
    end_word(at);
    at += blank;
    begin = at;
  }
  end_word(text.size());
  return words;
}

}  // namespace lockstep::metrics
