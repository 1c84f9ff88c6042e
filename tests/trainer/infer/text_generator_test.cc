// What a language model writes on: what the whole graph says of the text so far, for any prompt, one after the other.
#include "trainer/infer/text_generator.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/text/tokenizers/character_tokenizer.h"
#include "tests/trainer/infer/small_model.h"

namespace lockstep::infer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kContext = 8;
const char* const kGpt = "gpt { layers: 2 heads: 2 width: 16 }";
const char* const kLetters = "abcdefghijk";  // kVocabulary of them

class Writing : public testing::Test {
 protected:
  explicit Writing(std::shared_ptr<const data::Tokenizer> tokenizer = data::MakeCharacterTokenizer(kLetters))
      : tokenizer_(std::move(tokenizer)), model_(kGpt, kContext, tokenizer_->size()), trained_(model_.Trained()) {}

  TextGenerator NewGenerator() const { return TextGenerator(*trained_, tokenizer_, kContext); }

  /// The likeliest tokens behind `text` by the whole graph: where the context is full, behind its later half.
  Tokens LikeliestBehind(Tokens text, int count) const {
    size_t begin = 0;
    Tokens written;
    while (static_cast<int>(written.size()) < count) {
      if (text.size() - begin > kContext) begin = text.size() - kContext / 2;
      Tokens row(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end());
      const size_t last = row.size() - 1;
      row.resize(kContext);
      const std::vector<float> logits = model_.Whole({row});
      const auto first = logits.begin() + static_cast<std::ptrdiff_t>(last * kVocabulary);
      written.push_back(static_cast<int32_t>(std::max_element(first, first + kVocabulary) - first));
      text.push_back(written.back());
    }
    return written;
  }

  const std::shared_ptr<const data::Tokenizer> tokenizer_;
  const SmallModel model_;
  const std::unique_ptr<const TrainedModel> trained_;
};

constexpr TextGenerator::Options Likeliest(int64_t tokens) {
  return {.tokens = tokens, .sampling = {.temperature = 0}};
}

TEST_F(Writing, TheLikeliestTokensAreTheWholeGraphsBeyondItsContextToo) {
  TextGenerator generator = NewGenerator();
  const Prompt prompt = generator.Read("cab");
  EXPECT_THAT(prompt.tokens, ElementsAre(2, 0, 1));
  const GeneratedText generated = generator.Generate(prompt, Likeliest(20));
  EXPECT_EQ(generated.tokens, LikeliestBehind({2, 0, 1}, 20));
  EXPECT_EQ(generated.text, "cab" + tokenizer_->Decode(generated.tokens));
  EXPECT_FALSE(generated.ended);
}

TEST_F(Writing, APromptIsAnsweredTheSameWhateverCameBefore) {
  TextGenerator one = NewGenerator();
  const TextGenerator::Options options = {.tokens = 13, .sampling = {.temperature = 1, .seed = 3}};
  for (const char* text : {"a", "kkkkkkkkkkkk", "bad", "a"}) {
    TextGenerator fresh = NewGenerator();
    EXPECT_EQ(one.Generate(one.Read(text), options).text, fresh.Generate(fresh.Read(text), options).text) << text;
  }
}

TEST_F(Writing, ABadPromptIsNamedAndTheNextOneAnswered) {
  TextGenerator generator = NewGenerator();
  const std::string before = generator.Generate(generator.Read("bad"), Likeliest(4)).text;
  for (const auto& [text, words] :
       {std::pair("caf\xe9", "there is byte 0xE9"), {"zoo", "the vocabulary lacks U+007A"}}) {
    try {
      generator.Read(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_THAT(error.message(), HasSubstr(words));
    }
  }
  EXPECT_THROW(generator.Generate(generator.Read(""), Likeliest(4)), Error);  // these letters have no line's end
  EXPECT_EQ(generator.Generate(generator.Read("bad"), Likeliest(4)).text, before);
}

TEST_F(Writing, EndsWhereNobodyListensAnyMore) {
  TextGenerator generator = NewGenerator();
  std::vector<std::string> heard;
  const GeneratedText generated = generator.Generate(generator.Read("ab"), Likeliest(20), [&](std::string_view text) {
    heard.emplace_back(text);
    return heard.size() < 5;
  });
  EXPECT_EQ(heard.size(), 5u);
  EXPECT_EQ(generated.tokens.size(), 3u);  // behind the two of the prompt
}

class WritingBytes : public Writing {
 protected:
  WritingBytes() : Writing(data::MakeByteTokenizer()) {}
};

TEST_F(WritingBytes, TextComesInWholeCharacters) {
  TextGenerator generator = NewGenerator();
  std::vector<std::string> heard;
  const std::string prompt = "\u20ac\u00e9x";
  const GeneratedText generated = generator.Generate(generator.Read(prompt), Likeliest(3), [&](std::string_view text) {
    heard.emplace_back(text);
    return true;
  });
  ASSERT_GE(heard.size(), 3u);
  EXPECT_EQ(heard[0], "\u20ac");
  EXPECT_EQ(heard[1], "\u00e9");
  EXPECT_EQ(heard[2], "x");
  std::string all;
  for (const std::string& part : heard) all += part;
  EXPECT_EQ(all, generated.text);  // what is left of a character comes at the end
  EXPECT_EQ(generated.text.size(), prompt.size() + 3);
}

TEST_F(WritingBytes, WithoutAPromptATextBeginsBehindALinesEnd) {
  TextGenerator generator = NewGenerator();
  EXPECT_EQ(generator.Generate(generator.Read(""), Likeliest(6)).tokens,
            generator.Generate(generator.Read("\n"), Likeliest(6)).tokens);
}

}  // namespace
}  // namespace lockstep::infer
