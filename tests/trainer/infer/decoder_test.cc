// Token by token comes out what the whole graph says.
#include "trainer/infer/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/trainer/infer/small_model.h"

namespace lockstep::infer {
namespace {

constexpr double kTolerance = 1e-5;

/// `count` tokens that follow no pattern.
Tokens SomeTokens(size_t count, uint64_t seed) {
  Tokens tokens;
  for (size_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(RandomStream{seed, 0, 2, 0}.Bits(static_cast<uint32_t>(i)) % kVocabulary));
  return tokens;
}

/// The tokens at one place of each row.
Tokens At(const std::vector<Tokens>& rows, size_t place) {
  Tokens tokens;
  for (const Tokens& row : rows) tokens.push_back(row[place]);
  return tokens;
}

void ExpectNear(std::span<const float> logits, std::span<const float> expected) {
  ASSERT_EQ(logits.size(), expected.size());
  for (size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(logits[i], expected[i], kTolerance) << "token " << i;
}

/// Of logits [rows, places, ..] those of one place.
std::span<const float> LogitsAt(std::span<const float> logits, size_t rows, size_t row, size_t place) {
  return logits.subspan((row * (logits.size() / rows / kVocabulary) + place) * kVocabulary, kVocabulary);
}

/// That `decoder`, which has read nothing yet, says of `rows` what the whole graph's `logits` [rows, places, ..] say.
void ExpectSteps(Decoder& decoder, const std::vector<Tokens>& rows, const std::vector<float>& logits) {
  for (size_t place = 0; place < rows[0].size(); ++place) {
    SCOPED_TRACE(testing::Message() << "place " << place);
    const std::span<const float> step = decoder.Step(At(rows, place));
    ASSERT_EQ(step.size(), rows.size() * kVocabulary);
    for (size_t row = 0; row < rows.size(); ++row) {
      SCOPED_TRACE(testing::Message() << "row " << row);
      ExpectNear(LogitsAt(step, rows.size(), row, 0), LogitsAt(logits, rows.size(), row, place));
    }
  }
  EXPECT_EQ(decoder.length(), static_cast<int64_t>(rows[0].size()));
}

const char* const kLanguageModels[] = {
    "gpt { layers: 2 heads: 2 width: 16 dropout: 0.1 }",
    "gpt { layers: 2 heads: 4 kv_heads: 2 width: 16 bias: false feed_forward: SWIGLU norm: RMS positions: ROTARY tied: "
    "false }",
};

class LanguageModel : public testing::TestWithParam<const char*> {
 protected:
  static constexpr int64_t kBlock = 70;
  const SmallModel model_{GetParam(), kBlock};
};
INSTANTIATE_TEST_SUITE_P(Kinds, LanguageModel, testing::ValuesIn(kLanguageModels), [](const auto& info) {
  return info.index == 0 ? "LearnedPositions" : "RotaryWithSharedHeads";
});

TEST_P(LanguageModel, SaysTokenByTokenWhatTheWholeGraphSays) {
  const std::vector<Tokens> rows = {SomeTokens(kBlock, 1)};
  Decoder decoder = model_.MakeDecoder({.rows = 1, .capacity = kBlock});
  ExpectSteps(decoder, rows, model_.Whole(rows));
}

TEST_P(LanguageModel, ReadsRowsSideBySide) {
  const std::vector<Tokens> rows = {SomeTokens(9, 1), SomeTokens(9, 2), SomeTokens(9, 3)};
  Decoder decoder = model_.MakeDecoder({.rows = 3, .capacity = kBlock});
  ExpectSteps(decoder, rows, model_.Whole(rows));
}

TEST_P(LanguageModel, ReadsAPromptInPiecesAsTokenByToken) {
  const Tokens tokens = SomeTokens(kBlock, 4);
  const std::vector<float> logits = model_.Whole({tokens});
  Decoder decoder = model_.MakeDecoder({.rows = 1, .capacity = kBlock});
  // Less than a piece, one, one and a bit, two to the last place; nothing; and a second one behind a first.
  for (const size_t length : {5, 32, 33, 69, 0}) {
    SCOPED_TRACE(testing::Message() << length << " tokens");
    decoder.Reset();
    decoder.Read(std::span(tokens).first(length));
    EXPECT_EQ(decoder.length(), static_cast<int64_t>(length));
    ExpectNear(decoder.Step({&tokens[length], 1}), LogitsAt(logits, 1, 0, length));
  }
  decoder.Reset();
  decoder.Read(std::span(tokens).first(7));
  decoder.Read(std::span(tokens).subspan(7, 40));
  ExpectNear(decoder.Step({&tokens[47], 1}), LogitsAt(logits, 1, 0, 47));
}

TEST_P(LanguageModel, ForgetsWithAReset) {
  Decoder decoder = model_.MakeDecoder({.rows = 1, .capacity = kBlock});
  decoder.Read(SomeTokens(50, 5));
  decoder.Reset();
  EXPECT_EQ(decoder.length(), 0);
  const std::vector<Tokens> rows = {SomeTokens(6, 6)};
  ExpectSteps(decoder, rows, model_.Whole(rows));
}

TEST_P(LanguageModel, GoesOnFromReorderedRows) {
  const std::vector<Tokens> before = {SomeTokens(4, 1), SomeTokens(4, 2), SomeTokens(4, 3)};
  const Tokens next = {7, 8, 9};
  Decoder decoder = model_.MakeDecoder({.rows = 3, .capacity = 8});
  for (size_t place = 0; place < 4; ++place) decoder.Step(At(before, place));
  // One row lives on twice, one ends, one moves.
  const Tokens parents = {2, 0, 2};
  decoder.Reorder(parents);
  std::vector<Tokens> after;
  for (size_t row = 0; row < 3; ++row) {
    after.push_back(before[static_cast<size_t>(parents[row])]);
    after.back().push_back(next[row]);
  }
  const std::vector<float> logits = model_.Whole(after);
  const std::span<const float> step = decoder.Step(next);
  for (size_t row = 0; row < 3; ++row) ExpectNear(LogitsAt(step, 3, row, 0), LogitsAt(logits, 3, row, 4));
}

TEST_P(LanguageModel, TakesNewWeightsWhenTheyArePacked) {
  SmallModel model(GetParam(), kBlock);
  Decoder decoder = model.MakeDecoder({.rows = 1, .capacity = kBlock});
  const std::vector<Tokens> rows = {SomeTokens(40, 7)};
  decoder.Read(rows[0]);  // both programs are there
  model.Draw(/*seed=*/2);
  decoder.PackWeights();
  const std::vector<float> logits = model.Whole(rows);
  decoder.Reset();
  ExpectSteps(decoder, rows, logits);
  decoder.Reset();
  decoder.Read(std::span(rows[0]).first(39));
  ExpectNear(decoder.Step({&rows[0][39], 1}), LogitsAt(logits, 1, 0, 39));
}

const char* const kTranslators[] = {
    "seq2seq { layers: 2 heads: 2 width: 16 inner: 24 dropout: 0.1 }",
    "seq2seq { kind: LSTM layers: 2 width: 16 dropout: 0.1 }",
    "seq2seq { kind: GRU layers: 2 width: 16 }",
};

class Translator : public testing::TestWithParam<const char*> {
 protected:
  static constexpr size_t kPlaces = 8;
  const SmallModel model_{GetParam()};
};
const char* const kTranslatorNames[] = {"Transformer", "Lstm", "Gru"};
INSTANTIATE_TEST_SUITE_P(Kinds, Translator, testing::ValuesIn(kTranslators),
                         [](const auto& info) { return kTranslatorNames[info.index]; });

TEST_P(Translator, SaysTokenByTokenWhatTheWholeGraphSays) {
  // Sources that fill all places, some, one and none; targets as long as the whole graph's places.
  const std::vector<Tokens> sources = {SomeTokens(kPlaces, 1), SomeTokens(5, 2), SomeTokens(1, 3), {}};
  std::vector<Tokens> targets;
  for (uint64_t i = 0; i < 4; ++i) targets.push_back(SomeTokens(kPlaces, 10 + i));
  Decoder decoder = model_.MakeDecoder({.rows = 4, .capacity = 12, .source = kPlaces, .sources = 4});
  const Sources rows(sources, kPlaces);
  decoder.Reset(rows.tokens, rows.lengths);
  const std::vector<float> logits = model_.Whole(targets, sources);
  EXPECT_TRUE(std::ranges::all_of(logits, [](float logit) { return std::isfinite(logit); }));
  ExpectSteps(decoder, targets, logits);
}

TEST_P(Translator, PaddingOfASourceTellsNothing) {
  const std::vector<Tokens> targets = {SomeTokens(5, 1)};
  const Tokens source = SomeTokens(3, 2);
  Sources rows({source}, kPlaces);
  std::fill(rows.tokens.begin() + 3, rows.tokens.end(), 9);
  Decoder decoder = model_.MakeDecoder({.rows = 1, .capacity = 12, .source = kPlaces, .sources = 1});
  decoder.Reset(rows.tokens, rows.lengths);
  ExpectSteps(decoder, targets, model_.Whole(targets, {source}));
}

TEST_P(Translator, RowsOfOneSourceLieSideBySide) {
  const std::vector<Tokens> sources = {SomeTokens(4, 1), SomeTokens(6, 2)};
  const std::vector<Tokens> targets = {SomeTokens(5, 3), SomeTokens(5, 4), SomeTokens(5, 5), SomeTokens(5, 6)};
  Decoder decoder = model_.MakeDecoder({.rows = 4, .capacity = 12, .source = kPlaces, .sources = 2});
  const Sources rows(sources, kPlaces);
  decoder.Reset(rows.tokens, rows.lengths);
  ExpectSteps(decoder, targets, model_.Whole(targets, {sources[0], sources[0], sources[1], sources[1]}));
}

TEST_P(Translator, ForgetsSourceAndTargetWithAReset) {
  const std::vector<Tokens> sources = {SomeTokens(6, 1), SomeTokens(2, 2)};
  const std::vector<Tokens> targets = {SomeTokens(5, 3), SomeTokens(5, 4)};
  Decoder decoder = model_.MakeDecoder({.rows = 2, .capacity = 12, .source = kPlaces, .sources = 2});
  const Sources before({SomeTokens(3, 5), SomeTokens(8, 6)}, kPlaces), rows(sources, kPlaces);
  decoder.Reset(before.tokens, before.lengths);
  for (int32_t token = 0; token < 9; ++token) decoder.Step(Tokens{token, token});
  decoder.Reset(rows.tokens, rows.lengths);
  EXPECT_EQ(decoder.length(), 0);
  ExpectSteps(decoder, targets, model_.Whole(targets, sources));
}

TEST_P(Translator, GoesOnFromReorderedRows) {
  const Tokens source = SomeTokens(6, 1);
  const std::vector<Tokens> before = {SomeTokens(4, 2), SomeTokens(4, 3), SomeTokens(4, 4)};
  Decoder decoder = model_.MakeDecoder({.rows = 3, .capacity = 12, .source = kPlaces, .sources = 1});
  const Sources rows({source}, kPlaces);
  decoder.Reset(rows.tokens, rows.lengths);
  for (size_t place = 0; place < 4; ++place) decoder.Step(At(before, place));
  decoder.Reorder(Tokens{1, 2, 1});
  const std::vector<Tokens> ends = {{7, 2, 3}, {8, 1, 1}, {9, 5, 0}};
  std::vector<Tokens> after = {before[1], before[2], before[1]};
  for (size_t row = 0; row < 3; ++row) after[row].insert(after[row].end(), ends[row].begin(), ends[row].end());
  const std::vector<float> logits = model_.Whole(after, {source, source, source});
  for (size_t place = 4; place < 7; ++place) {
    const std::span<const float> step = decoder.Step(At(after, place));
    for (size_t row = 0; row < 3; ++row) ExpectNear(LogitsAt(step, 3, row, 0), LogitsAt(logits, 3, row, place));
  }
}

}  // namespace
}  // namespace lockstep::infer
