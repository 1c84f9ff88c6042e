#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/metrics/bleu.h"
#include "trainer/metrics/chrf.h"
#include "trainer/metrics/white_space.h"

namespace lockstep::metrics {
namespace {

constexpr double kTolerance = 1e-9;

/// What sacreBLEU makes of odd sentences (compare_sacrebleu.py write).
const nlohmann::json& Expected() {
  static const nlohmann::json table = [] {
    std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/trainer/metrics/expected_scores.json");
    return nlohmann::json::parse(file);
  }();
  return table;
}

TEST(Bleu, CountsAndScoresAreSacreBleus) {
  BleuCounts sum;
  for (const auto& pair : Expected()["pairs"]) {
    const BleuCounts counts = CountBleu(pair["written"].get<std::string>(), pair["reference"].get<std::string>());
    const auto expected = pair["bleu_counts"].get<std::array<int64_t, BleuCounts::kSize>>();
    EXPECT_EQ(counts.values, expected) << pair.dump();
    EXPECT_NEAR(Bleu(counts), pair["bleu"].get<double>(), kTolerance) << pair.dump();
    sum += counts;
  }
  EXPECT_NEAR(Bleu(sum), Expected()["bleu"].get<double>(), kTolerance);
  EXPECT_GT(Bleu(sum), 20);
}

TEST(Bleu, RepeatedWordsMatchAsOftenAsTheReferenceHasThem) {
  // The example of Papineni et al., section 2.1.
  const BleuCounts counts = CountBleu("the the the the the the the", "the cat is on the mat");
  EXPECT_EQ(counts.matches(1), 2);
  EXPECT_EQ(counts.total(1), 7);
  EXPECT_EQ(counts.written(), 7);
  EXPECT_EQ(counts.reference(), 6);
  EXPECT_EQ(counts.total(4), 4);
}

TEST(Bleu, IsOfTheCorpusAndNotOfSentences) {
  BleuCounts sum = CountBleu("a b c d e", "a b c d e");
  EXPECT_NEAR(Bleu(sum), 100, kTolerance);
  // Three words of eight are missing: the brevity penalty alone, of lengths of both sentences.
  sum += CountBleu("", "f g h");
  EXPECT_NEAR(Bleu(sum), 100 * std::exp(1 - 8.0 / 5), kTolerance);
  EXPECT_EQ(Bleu(BleuCounts()), 0);
}

TEST(Bleu, WordsAreCutAsMteval13aDoes) {
  EXPECT_EQ(Tokenize13a("Hello, world! It's 1,000.5 (x-y)  3-4."), "Hello , world ! It's 1,000.5 ( x-y ) 3 - 4 .");
  EXPECT_EQ(Tokenize13a("&quot;a&amp;b&quot;<skipped>"), "\" a & b \"");
  EXPECT_EQ(Tokenize13a("über.Straße,"), "über . Straße ,");
  EXPECT_EQ(Tokenize13a(" \n"), "");
}

TEST(Chrf, CountsAndScoresAreSacreBleus) {
  ChrfCounts sum;
  for (const auto& pair : Expected()["pairs"]) {
    const ChrfCounts counts = CountChrf(pair["written"].get<std::string>(), pair["reference"].get<std::string>());
    const auto expected = pair["chrf_counts"].get<std::array<int64_t, ChrfCounts::kSize>>();
    EXPECT_EQ(counts.values, expected) << pair.dump();
    EXPECT_NEAR(Chrf(counts), pair["chrf"].get<double>(), kTolerance) << pair.dump();
    sum += counts;
  }
  EXPECT_NEAR(Chrf(sum), Expected()["chrf"].get<double>(), kTolerance);
  EXPECT_EQ(Chrf(ChrfCounts()), 0);
}

TEST(Chrf, RecallCountsTwiceAsMuch) {
  // Of one character: precision 1 and recall 1/2, or the other way round; F2 = 5 p r / (4 p + r).
  EXPECT_NEAR(Chrf(CountChrf("a", "ab")), 100 * 5 * 0.5 / 4.5, kTolerance);
  EXPECT_NEAR(Chrf(CountChrf("ab", "a")), 100 * 5 * 0.5 / 3, kTolerance);
}

TEST(WhiteSpace, WordsStandBetweenUnicodesBlanks) {
  using Words = std::vector<std::string_view>;
  EXPECT_EQ(WordsBetweenBlanks("\xE3\x80\x80 a\xC2\xA0"
                               "b\x1F\xE2\x80\xA8"
                               "c\xE2\x80\x8B\n"),
            (Words{"a", "b", "c\xE2\x80\x8B"}));
  EXPECT_EQ(WordsBetweenBlanks(" \t"), Words());
  // Cut off in the middle of a character, and bytes of a blank that begin none.
  EXPECT_EQ(WordsBetweenBlanks("\xE2\x80"), Words{"\xE2\x80"});
  EXPECT_EQ(WordsBetweenBlanks("\xA0 \x85"), (Words{"\xA0", "\x85"}));
}

}  // namespace
}  // namespace lockstep::metrics
