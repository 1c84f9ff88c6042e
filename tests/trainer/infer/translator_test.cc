// Translations are what the whole graph finds likeliest, for any sentence, one after the other.
#include "trainer/infer/translator.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/text/tokenizers/character_tokenizer.h"
#include "tests/trainer/infer/small_model.h"

namespace lockstep::infer {
namespace {

using testing::HasSubstr;

const char* const kTransformer = "seq2seq { layers: 1 heads: 2 width: 8 inner: 12 }";

class Translating : public testing::Test {
 protected:
  Translating()
      : tokenizer_(data::MakeCharacterTokenizer("abcdefghi")),  // with begin and end kVocabulary
        vocabulary_(tokenizer_),
        model_(kTransformer),
        trained_(model_.Trained()) {
    EXPECT_EQ(vocabulary_.size(), kVocabulary);
  }

  Translator NewTranslator(int beam) const { return Translator(*trained_, vocabulary_, beam); }

  /// The likeliest token at each step, by the whole graph.
  Tokens LikeliestFor(const std::string& sentence) const {
    Tokens source;
    vocabulary_.Encode(sentence, source);
    source.push_back(vocabulary_.marks().end);
    Tokens target = {vocabulary_.marks().begin};
    while (target.size() - 1 < source.size() + BeamOptions{}.most_extra) {
      const std::vector<float> logits = model_.Whole({target}, {source});
      const size_t last = target.size() - 1;
      int32_t best = -1;
      for (int32_t token = 0; token < kVocabulary; ++token) {
        const auto at = [&](int32_t of) { return logits[last * kVocabulary + static_cast<size_t>(of)]; };
        if (token != vocabulary_.marks().begin && (best < 0 || at(token) > at(best))) best = token;
      }
      if (best == vocabulary_.marks().end) break;
      target.push_back(best);
    }
    return {target.begin() + 1, target.end()};
  }

  const std::shared_ptr<const data::Tokenizer> tokenizer_;
  const data::SentenceVocabulary vocabulary_;
  const SmallModel model_;
  const std::unique_ptr<const TrainedModel> trained_;
};

TEST_F(Translating, WithOneBeamWritesTheLikeliestTokens) {
  Translator translator = NewTranslator(1);
  for (const char* sentence : {"abc", "", "ihgfedcba", "a", "ccccccccccccccc", "abc"}) {
    const Translation translation = translator.Translate(sentence);
    EXPECT_EQ(translation.tokens, LikeliestFor(sentence)) << sentence;
    EXPECT_EQ(translation.text, vocabulary_.TextOf(translation.tokens));
    EXPECT_EQ(translation.source_tokens, std::string(sentence).size());
    EXPECT_EQ(translation.unknown, 0u);
  }
}

TEST_F(Translating, ASentenceIsAnsweredTheSameWhateverCameBefore) {
  Translator one = NewTranslator(4);
  for (const char* sentence : {"abc", "defghiabcdefghi", "cba", "abc"}) {
    const Translation translation = one.Translate(sentence), fresh = NewTranslator(4).Translate(sentence);
    EXPECT_EQ(translation.text, fresh.text) << sentence;
    EXPECT_EQ(translation.score, fresh.score) << sentence;
  }
}

TEST_F(Translating, ABadSentenceIsNamedAndTheNextOneAnswered) {
  Translator translator = NewTranslator(2);
  const std::string before = translator.Translate("bad").text;
  for (const auto& [sentence, words] : {std::pair("Stra\xdf"
                                                  "e",
                                                  "there is byte 0xDF"),
                                        {"zoo", "the vocabulary lacks U+007A"}}) {
    try {
      translator.Translate(sentence);
      ADD_FAILURE() << sentence;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_THAT(error.message(), HasSubstr(words));
    }
  }
  EXPECT_EQ(translator.Translate("bad").text, before);
}

}  // namespace
}  // namespace lockstep::infer
