#include "data/text/tokenizers/regex.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "data/text/tokenizers/pre_tokenizer.h"

namespace lockstep::data {
namespace {

std::vector<std::string> Words(std::string_view pattern, std::string_view text) {
  std::vector<SplitStep> steps(1);
  steps[0].regex = Regex::FromOniguruma(pattern);
  RegexMemory memory;
  std::vector<std::string> words;
  PreTokenizer(std::move(steps)).Split(text, memory, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(Regex, SpaceIsUnicodesWhiteSpace) {
  EXPECT_EQ(Words("\\s+", "a\u00A0\u2028\u0085b\u3000c"),
            (std::vector<std::string>{"a", "\u00A0\u2028\u0085", "b", "\u3000", "c"}));
  // The Mongolian vowel separator has been none since Unicode 6.3; PCRE2's own \s has it.
  EXPECT_EQ(Words("\\s+", "a\u180Eb"), (std::vector<std::string>{"a\u180Eb"}));
  EXPECT_EQ(Words("[^\\S]+", "a b"), (std::vector<std::string>{"a", " ", "b"}));
}

TEST(Regex, AnEmptyMatchCutsAndGoesOn) {
  EXPECT_EQ(Words("x*", "aéxxb"), (std::vector<std::string>{"a", "é", "xx", "b"}));
}

TEST(Regex, LinesBeginAndEndAsInRuby) {
  EXPECT_EQ(Words("^b$", "a\nb\nc"), (std::vector<std::string>{"a\n", "b", "\nc"}));
}

TEST(Regex, LongRunsNeedNoStack) {
  const std::string text = std::string(3 << 20, ' ') + "x";
  EXPECT_EQ(Words(kGpt2Pattern, text).size(), 2u);
}

TEST(Regex, WhatTheLibrariesReadDifferentlyIsRewrittenOrRefused) {
  EXPECT_EQ(TranslateOniguruma(R"(\s[\S\d]\D\p{L}\n\.\x{41}\u00e9\v)"),
            R"(\p{WSpace}[\P{WSpace}\p{Nd}]\P{Nd}\p{L}\n\.\x{41}\x{00e9}\x{0B})");
  for (const char* pattern : {R"(\w)", R"([\W])", R"(\h)", R"(\R)", R"(\X)", R"(\b)", R"(\K)", R"(\1)", R"(\xE9)",
                              "[a[b]]", "[a&&b]", "[]a]", "\\"}) {
    EXPECT_THROW(TranslateOniguruma(pattern), std::invalid_argument) << pattern;
  }
}

}  // namespace
}  // namespace lockstep::data
