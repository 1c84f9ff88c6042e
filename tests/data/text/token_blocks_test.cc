#include "data/text/token_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "base/error.h"
#include "data/text/tokenizers/character_tokenizer.h"

namespace lockstep::data {
namespace {

constexpr int32_t kTokens = 103;

/// Blocks of 10 over tokens 0, 1, ... 102.
std::unique_ptr<Dataset> Blocks(bool cut_anew, uint64_t seed = 1, int32_t tokens = kTokens) {
  std::vector<int32_t> ids(static_cast<size_t>(tokens));
  std::iota(ids.begin(), ids.end(), 0);
  return MakeTokenBlocks(MakeTokenSource(std::move(ids)),
                         {.block = 10, .vocabulary = 200, .cut_anew = cut_anew, .seed = seed}, "text.txt");
}

int32_t FirstToken(const Dataset& blocks, uint64_t epoch, uint64_t id) {
  Sample sample;
  blocks.Read(epoch, id, sample);
  return sample.tensors[0].As<int32_t>()[0];
}

TEST(TokenBlocks, LabelsAreTheTokensThatFollow) {
  const auto blocks = Blocks(false);
  EXPECT_EQ(blocks->size(), 10u) << "of 10 tokens, each with one behind it";
  EXPECT_EQ(blocks->classes(), 200);
  EXPECT_EQ(blocks->labels(0, 3), 10u);
  for (uint64_t id = 0; id < blocks->size(); ++id) {
    Sample sample;
    blocks->Read(7, id, sample);
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(sample.tensors[0].As<int32_t>()[i], static_cast<int32_t>(id * 10 + i));
      EXPECT_EQ(sample.tensors[1].As<int32_t>()[i], static_cast<int32_t>(id * 10 + i + 1));
    }
  }
}

TEST(TokenBlocks, KnowsTheBytesOfItsLabels) {
  const std::string text = "a\u00e4\u20acaa\u00e4a";  // of 1, 2 and 3 bytes
  std::shared_ptr<const Tokenizer> tokenizer = MakeCharacterTokenizer(text);
  std::vector<int32_t> ids;
  tokenizer->Encode(text, ids);
  const auto blocks = MakeTokenBlocks(
      MakeTokenSource(ids), {.block = 3, .vocabulary = tokenizer->size(), .tokenizer = tokenizer}, "text.txt");
  ASSERT_EQ(blocks->size(), 2u);
  EXPECT_EQ(blocks->TextBytes(0, 1), 2u + 3 + 1);
  EXPECT_EQ(blocks->TextBytes(0, 2), text.size() - 1) << "all but the first character";
  EXPECT_EQ(Blocks(false)->TextBytes(0, 10), 0u) << "nobody knows what the tokens stand for";
}

TEST(TokenBlocks, EpochsCutAnewAndStayInTheText) {
  const auto blocks = Blocks(true);
  std::set<int32_t> starts;
  for (uint64_t epoch = 0; epoch < 100; ++epoch) {
    const int32_t start = FirstToken(*blocks, epoch, 0);
    starts.insert(start);
    for (uint64_t id = 0; id < blocks->size(); ++id) {
      const int32_t first = FirstToken(*blocks, epoch, id);
      EXPECT_EQ(first, start + static_cast<int32_t>(10 * id));
      EXPECT_LE(first + 10, kTokens - 1);
    }
  }
  EXPECT_EQ(starts.size(), 10u) << "all offsets, in 100 epochs";
  EXPECT_EQ(FirstToken(*blocks, 5, 2), FirstToken(*Blocks(true), 5, 2));
  EXPECT_EQ(blocks->fingerprint(), Blocks(true, 9)->fingerprint()) << "the seed is no part of the data";
  EXPECT_NE(blocks->fingerprint(), Blocks(true, 1, kTokens - 1)->fingerprint());
}

TEST(TokenBlocks, TheShortestText) {
  EXPECT_EQ(Blocks(false, 1, 11)->size(), 1u);
  EXPECT_EQ(Blocks(true, 1, 20)->size(), 1u);
  for (const bool cut_anew : {false, true}) {
    try {
      Blocks(cut_anew, 1, 10);
      ADD_FAILURE() << "made a block of too little";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("10 tokens"), testing::HasSubstr("text.txt"),
                                               testing::HasSubstr("data.block")));
    }
  }
}

}  // namespace
}  // namespace lockstep::data
