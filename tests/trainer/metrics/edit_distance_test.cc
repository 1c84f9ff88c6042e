#include "trainer/metrics/edit_distance.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace lockstep::metrics {
namespace {

using Strings = std::vector<std::string_view>;

/// By its recursive definition.
int64_t Slow(std::span<const std::string_view> a, std::span<const std::string_view> b) {
  if (a.empty() || b.empty()) return static_cast<int64_t>(a.size() + b.size());
  if (a.back() == b.back()) return Slow(a.first(a.size() - 1), b.first(b.size() - 1));
  return 1 + std::min({Slow(a.first(a.size() - 1), b), Slow(a, b.first(b.size() - 1)),
                       Slow(a.first(a.size() - 1), b.first(b.size() - 1))});
}

TEST(EditDistance, IsThatOfItsDefinition) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const auto draw = [&] {
      Strings strings(random() % 7);
      for (auto& string : strings) string = std::string_view("abc").substr(random() % 3, 1);
      return strings;
    };
    const Strings a = draw(), b = draw();
    EXPECT_EQ(EditDistance(a, b), Slow(a, b));
    EXPECT_EQ(EditDistance(b, a), EditDistance(a, b));
  }
}

TEST(CharacterErrors, CountsUnicodeCharacters) {
  EXPECT_EQ(CharacterErrors("kitten", "sitting"), (ErrorCount{3, 7}));
  EXPECT_EQ(CharacterErrors("z\xC3\xBCrich", "zurich"), (ErrorCount{1, 6}));
  EXPECT_EQ(CharacterErrors("\xE4\xB8\x80\xE4\xBA\x8C", "\xE4\xB8\x80\xE4\xB8\x89\xE4\xBA\x8C"), (ErrorCount{1, 3}));
  EXPECT_EQ(CharacterErrors("a b", "ab"), (ErrorCount{1, 2}));
  EXPECT_EQ(CharacterErrors("", "four"), (ErrorCount{4, 4}));
  EXPECT_EQ(CharacterErrors("four", ""), (ErrorCount{4, 0}));
  EXPECT_EQ(CharactersOf("a\xF0\x9F\x98\x80z"), (Strings{"a", "\xF0\x9F\x98\x80", "z"}));
}

TEST(WordErrors, CountsWordsWhateverBlanksAreBetween) {
  EXPECT_EQ(WordErrors("one three", "one two three"), (ErrorCount{1, 3}));
  EXPECT_EQ(WordErrors("one two for", "one two four"), (ErrorCount{1, 3}));
  EXPECT_EQ(WordErrors(" one  two\t", "one two"), (ErrorCount{0, 2}));
  EXPECT_EQ(WordErrors("o ne two", "one two"), (ErrorCount{2, 2}));
  EXPECT_EQ(WordErrors("", ""), (ErrorCount{0, 0}));
  EXPECT_EQ(WordErrors("a b c", "z"), (ErrorCount{3, 1})) << "a rate of 3";
}

TEST(CollapsePath, MergesRunsAndDropsBlanks) {
  const auto collapse = [](std::vector<int32_t> path) { return CollapsePath(path); };
  EXPECT_EQ(collapse({0, 3, 3, 0, 3, 1, 1, 2, 0, 0}), (std::vector<int32_t>{3, 3, 1, 2}));
  EXPECT_EQ(collapse({5, 5, 5}), (std::vector<int32_t>{5}));
  EXPECT_EQ(collapse({0, 0}), (std::vector<int32_t>{}));
  EXPECT_EQ(collapse({}), (std::vector<int32_t>{}));
}

}  // namespace
}  // namespace lockstep::metrics
