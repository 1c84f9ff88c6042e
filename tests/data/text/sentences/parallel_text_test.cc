#include "data/text/sentences/parallel_text.h"
#include "data/open/make_transform.h"
#include "data/text/open_tokenizer.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "data/formats/lines.h"
#include "data/open/open_dataset.h"
#include "data/text/tokenizers/character_tokenizer.h"
#include "data/transform.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

DataConfig Parse(const std::string& text) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

std::unique_ptr<Dataset> Open(const DataConfig& config, bool training = true) {
  return OpenDataset(config.train(), "data.train", 1, Verify::AUTO,
                     {.training = training, .tokenizer = OpenTokenizer(config), .longest = config.longest()});
}

std::vector<int32_t> Read(const Dataset& dataset, uint64_t id, size_t field) {
  Sample sample;
  dataset.Read(3, id, sample);
  const auto ids = sample.tensors[field].As<int32_t>();
  EXPECT_EQ(sample.tensors[field].shape, Shape{static_cast<int64_t>(ids.size())});
  return {ids.begin(), ids.end()};
}

std::vector<int64_t> Lengths(const Dataset& dataset, uint64_t id) {
  std::vector<int64_t> lengths;
  dataset.Lengths(0, id, lengths);
  return lengths;
}

/// 'a' is 3, 'b' 4, and so on; 1 begins and 2 ends.
class Letters : public Tokenizer {
 public:
  int32_t size() const override { return 29; }
  int32_t begin() const override { return 1; }
  int32_t end() const override { return 2; }
  uint64_t fingerprint() const override { return 5; }
  void Encode(std::string_view text, std::vector<int32_t>& ids) const override {
    for (const char letter : text) ids.push_back(letter - 'a' + 3);
  }
  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) text.push_back(static_cast<char>('a' + id - 3));
    return text;
  }
};

class ParallelTextTest : public testing::Test {
 protected:
  DataConfig Config(const std::string& source, const std::string& target, const std::string& more = "") const {
    DataConfig config = Parse(fmt::format("train {{ parallel {{ source: '{}' target: '{}' }} }} {}",
                                          folder_.Write("s", source), folder_.Write("t", target), more));
    if (!config.has_tokenizer()) config.mutable_tokenizer()->mutable_bytes();
    return config;
  }
  void ExpectDataError(const std::string& source, const std::string& target,
                       const std::vector<std::string>& parts) const {
    const DataConfig config = Config(source, target);
    ExpectError(ErrorKind::kData, parts, [&] { Open(config); });
  }

  const TempFolder folder_;
};

TEST_F(ParallelTextTest, SamplesArePairsOfLinesWithBeginAndEnd) {
  const auto dataset = Open(Config("ab\nc\n", "x\n\xC3\xA9 y\n"));
  constexpr int kEnd = 256, kBegin = 257;  // behind the 256 bytes
  ASSERT_EQ(dataset->size(), 2u);
  EXPECT_EQ(dataset->classes(), 258);
  EXPECT_EQ(dataset->marks().begin, kBegin);
  EXPECT_EQ(dataset->marks().end, kEnd);
  EXPECT_TRUE(dataset->ragged());
  EXPECT_FALSE(dataset->uniform_labels());
  EXPECT_THAT(Read(*dataset, 0, 0), ElementsAre('a', 'b', kEnd));
  EXPECT_THAT(Read(*dataset, 0, 1), ElementsAre(kBegin, 'x', kEnd));
  EXPECT_THAT(Read(*dataset, 1, 0), ElementsAre('c', kEnd));
  EXPECT_THAT(Read(*dataset, 1, 1), ElementsAre(kBegin, 0xC3, 0xA9, ' ', 'y', kEnd));
  EXPECT_THAT(Lengths(*dataset, 0), ElementsAre(3, 2));
  EXPECT_THAT(Lengths(*dataset, 1), ElementsAre(2, 5));
  EXPECT_EQ(dataset->labels(0, 0), 2u);
  EXPECT_EQ(dataset->labels(0, 1), 5u);
  EXPECT_EQ(dataset->Reference(0, 1), "\xC3\xA9 y");
  EXPECT_EQ(dataset->TextOf(std::vector<int32_t>{kBegin, 'h', 'i', kEnd}), "hi");
}

TEST_F(ParallelTextTest, TheTokenizersOwnBeginAndEndAreUsed) {
  const auto dataset =
      MakeParallelText({{"ab"}, {"c"}}, SentenceVocabulary(std::make_shared<Letters>()), Parallel(), 0);
  EXPECT_EQ(dataset->classes(), 29);
  EXPECT_THAT(Read(*dataset, 0, 0), ElementsAre(3, 4, 2));
  EXPECT_THAT(Read(*dataset, 0, 1), ElementsAre(1, 5, 2));
  EXPECT_EQ(dataset->TextOf(std::vector<int32_t>{1, 3, 4, 2}), "ab");
}

TEST_F(ParallelTextTest, BlanksAtEndsOfLinesAndLineEndsOfOtherSystemsDontCount) {
  const auto plain = Open(Config("a b\n\nc\n", "d\ne\n\n"));
  EXPECT_THAT(Read(*plain, 1, 0), ElementsAre(256)) << "an empty line is an empty sentence";
  EXPECT_THAT(Read(*plain, 2, 1), ElementsAre(257, 256));
  const auto odd = Open(Config("\xEF\xBB\xBF \ta b\xC2\xA0\r\n\r\nc",
                               "d \xE2\x80\xA8\n\xE3\x80\x80"
                               "e\n\r\n"));
  ASSERT_EQ(odd->size(), plain->size());
  for (uint64_t id = 0; id < plain->size(); ++id) {
    for (const size_t field : {0, 1}) EXPECT_EQ(Read(*odd, id, field), Read(*plain, id, field)) << id;
    EXPECT_EQ(odd->Reference(0, id), plain->Reference(0, id));
  }
  EXPECT_EQ(odd->fingerprint(), plain->fingerprint());
  const auto packed = Open(Config(Gzip("a b\n\nc\n"), Gzip("d\ne\n\n")));
  EXPECT_EQ(packed->fingerprint(), plain->fingerprint());
}

TEST_F(ParallelTextTest, FingerprintsDifferWhereTextOrTokensDo) {
  const auto print = [&](const std::string& source, const std::string& target, const std::string& more = "") {
    return Open(Config(source, target, more))->fingerprint();
  };
  const uint64_t one = print("a\nb\n", "c\nd\n");
  EXPECT_EQ(print("a\nb\n", "c\nd\n"), one);
  EXPECT_NE(print("c\nd\n", "a\nb\n"), one);
  EXPECT_NE(print("a\n\n", "cb\nd\n"), one);
  EXPECT_NE(print("a\nb\n", "c\nd\n", "tokenizer { characters {} }"), one);
}

TEST_F(ParallelTextTest, SaysWhatIsWrongWithItsFiles) {
  ExpectDataError("a\nb\nc\n", "d\n", {"/s:2: has 3 lines, but ", "/t has 1", "(each line must stand for"});
  ExpectDataError("a\n", "d\ne\n", {"/t:2: has 2 lines, but ", "/s has 1"});
  ExpectDataError("a\nb\xFF\n", "d\ne\n", {"/s:2: there is byte 0xFF, which is no UTF-8", "iconv"});
  ExpectDataError("a\n", "", {"/t: the file is empty"});
  ExpectDataError("a\n", Gzip("b\n").substr(0, 12), {"/t: the gzip data is cut off"});
  DataConfig config = Config("a\n", "b\n");
  config.mutable_train()->mutable_parallel()->set_target("/nowhere");
  ExpectError(ErrorKind::kData, {"there is no file /nowhere", "data.train.parallel.target"}, [&] { Open(config); });
  config.mutable_train()->mutable_parallel()->clear_source();
  ExpectError(ErrorKind::kUsage, {"data.train.parallel.source: the file is not named"}, [&] { Open(config); });
}

TEST_F(ParallelTextTest, NamesTheLineThatTheVocabularyCantEncode) {
  const auto letters = std::shared_ptr<const Tokenizer>(MakeCharacterTokenizer("abc"));
  Parallel config;
  config.set_target("some/file");
  ExpectError(ErrorKind::kData, {"some/file:2", "U+007A 'z'"}, [&] {
    MakeParallelText({{"a", "b"}, {"c", "az"}}, SentenceVocabulary(letters), config, 0);
  });
}

TEST_F(ParallelTextTest, ATokenizerMustBeNamed) {
  DataConfig config = Config("a\n", "b\n");
  config.clear_tokenizer();
  ExpectError(ErrorKind::kUsage, {"data.tokenizer", "parallel text needs a tokenizer"}, [&] { Open(config); });
  ExpectError(ErrorKind::kUsage, {"data.tokenizer"}, [&] { OpenSentenceVocabulary(config); });
}

TEST_F(ParallelTextTest, CharactersAreThoseOfBothFiles) {
  const auto dataset = Open(Config("ca\n", "b\n", "tokenizer { characters {} }"));
  EXPECT_EQ(dataset->classes(), 5);
  EXPECT_THAT(Read(*dataset, 0, 0), ElementsAre(2, 0, 3));
  EXPECT_THAT(Read(*dataset, 0, 1), ElementsAre(4, 1, 3));
}

TEST_F(ParallelTextTest, AVocabularyOpensWithoutTheData) {
  DataConfig config = Config("a\n", "b\n");
  config.mutable_train()->mutable_parallel()->set_source("/nowhere");
  const SentenceVocabulary vocabulary = OpenSentenceVocabulary(config);
  EXPECT_EQ(vocabulary.size(), 258);
  std::vector<int32_t> ids;
  vocabulary.Encode("hi", ids);
  EXPECT_THAT(ids, ElementsAre('h', 'i'));
}

TEST_F(ParallelTextTest, LongPairsAreLeftOutOfTraining) {
  const DataConfig config = Config("abc\na\nab\n\n", "d\nefg\nhi\njk\n", "longest: 3");
  const auto dataset = Open(config);
  ASSERT_EQ(dataset->size(), 2u);
  EXPECT_EQ(dataset->Reference(0, 0), "hi");
  EXPECT_EQ(dataset->Reference(0, 1), "jk");
  EXPECT_THAT(Read(*dataset, 0, 0), ElementsAre('a', 'b', 256));
  EXPECT_EQ(Open(config, /*training=*/false)->size(), 4u) << "evaluations are of all";
  EXPECT_EQ(dataset->fingerprint(), Open(Config("ab\n\n", "hi\njk\n"))->fingerprint());
  const DataConfig shorter = Config("abc\n", "d\n", "longest: 3");
  ExpectError(ErrorKind::kData, {"all 1 pairs of sentences have more than 3 tokens", "data.longest"},
              [&] { Open(shorter); });
}

TEST_F(ParallelTextTest, PairsKnowTheirLines) {
  const auto dataset = Open(Config("abc\na\nab\n\n", "d\nefg\nhi\njk\n", "longest: 3"));
  EXPECT_EQ(dataset->LineOf(0, 0), folder_.Path("s:3")) << "lines that are left out count";
  EXPECT_EQ(TakeSlice(Open(Config("a\nb\nc\n", "a\nb\nc\n")), 1, 2)->LineOf(0, 1), folder_.Path("s:3"));
}

/// Digits are unknown: 0.
class NoDigits final : public Letters {
 public:
  int32_t unknown() const override { return 0; }
  void Encode(std::string_view text, std::vector<int32_t>& ids) const override {
    for (const char letter : text) ids.push_back(std::isdigit(letter) != 0 ? 0 : letter - 'a' + 3);
  }
};

TEST_F(ParallelTextTest, WarnsOfASideThatTheVocabularyIsNotFor) {
  const auto warnings = [&](const std::string& source, const std::string& target) {
    const DataConfig config = Config(source, target);
    testing::internal::CaptureStderr();
    OpenDataset(config.train(), "data.train", 1, Verify::AUTO, {.tokenizer = std::make_shared<NoDigits>()});
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(warnings("abcdefghijklmnopqr1\n", "abc\n"), "") << "one of twenty tokens, the end among them";
  const std::string warned = warnings("abc1234\n", "abc\n");
  EXPECT_THAT(warned, testing::HasSubstr(folder_.Path("s") + ": 4 of 8 tokens stand for what the vocabulary lacks"));
  EXPECT_EQ(std::count(warned.begin(), warned.end(), '\n'), 1);
}

TEST_F(ParallelTextTest, OnlyPairsAreLeftOutForTheirLength) {
  const auto config = Parse("train { synthetic { features: 2 } } longest: 3");
  ExpectError(ErrorKind::kUsage, {"data.longest", "remove it"}, [&] { Open(config); });
  EXPECT_GT(Open(config, /*training=*/false)->size(), 0u);
}

TEST_F(ParallelTextTest, ASliceIsStillParallelText) {
  DataConfig config = Config("a\nb\nc\n", "d\nef\ng\n");
  config.mutable_train()->set_skip(1);
  config.mutable_train()->set_limit(1);
  const auto slice = Open(config);
  ASSERT_EQ(slice->size(), 1u);
  EXPECT_EQ(slice->Reference(0, 0), "ef");
  EXPECT_EQ(slice->marks().end, 256);
  EXPECT_EQ(slice->TextOf(std::vector<int32_t>{'a', 256}), "a");
  EXPECT_THAT(Lengths(*slice, 0), ElementsAre(2, 3));
}

struct Rows {
  explicit Rows(size_t places) : source(places, 99), tokens(places, 99), label(places, 99) {}
  void Fill(const Transform& transform, const Sample& sample) {
    const std::vector<std::byte*> rows = {
        reinterpret_cast<std::byte*>(source.data()), reinterpret_cast<std::byte*>(&source_length),
        reinterpret_cast<std::byte*>(tokens.data()), reinterpret_cast<std::byte*>(label.data())};
    transform.Apply(sample, 0, 0, true, static_cast<int64_t>(label.size()), rows);
  }
  std::vector<int32_t> source, tokens, label;
  int32_t source_length = 99;
};

TEST_F(ParallelTextTest, RowsAreShiftedAndPadded) {
  const auto dataset = Open(Config("a\nbcd\n", "xyz\n\n"));
  const auto transform = MakeTransform(dataset->fields(), DataConfig(), 1);
  std::vector<std::string> names;
  for (const Field& field : transform->fields()) names.push_back(field.name);
  EXPECT_THAT(names, ElementsAre("source", "source_length", "tokens", "label"));
  EXPECT_EQ(transform->fields()[3].padding, -1);
  EXPECT_EQ(transform->fields()[0].padding, 0);
  for (const uint64_t id : {0, 1}) {
    EXPECT_EQ(transform->SequenceLength(Lengths(*dataset, id), 0, id, true), 4);
    EXPECT_EQ(transform->LongestSequence(Lengths(*dataset, id)), 4);
  }
  Sample sample;
  dataset->Read(0, 0, sample);
  Rows rows(6);
  rows.Fill(*transform, sample);
  EXPECT_THAT(rows.source, ElementsAre('a', 256, 0, 0, 0, 0));
  EXPECT_EQ(rows.source_length, 2);
  EXPECT_THAT(rows.tokens, ElementsAre(257, 'x', 'y', 'z', 0, 0));
  EXPECT_THAT(rows.label, ElementsAre('x', 'y', 'z', 256, -1, -1));
  dataset->Read(0, 1, sample);
  rows.Fill(*transform, sample);
  EXPECT_THAT(rows.source, ElementsAre('b', 'c', 'd', 256, 0, 0));
  EXPECT_EQ(rows.source_length, 4);
  EXPECT_THAT(rows.tokens, ElementsAre(257, 0, 0, 0, 0, 0));
  EXPECT_THAT(rows.label, ElementsAre(256, -1, -1, -1, -1, -1));
}

TEST_F(ParallelTextTest, SentencesAreNotNormalisedOrAugmented) {
  const auto dataset = Open(Config("a\n", "b\n"));
  for (const char* field : {"normalize", "augment"}) {
    ExpectError(ErrorKind::kUsage, {std::string("data.") + field, "remove it"},
                [&] { MakeTransform(dataset->fields(), Parse(fmt::format("{} {{}}", field)), 1); });
  }
}

TEST_F(ParallelTextTest, Multi30kHasAllItsPairs) {
  if (RealData().empty()) GTEST_SKIP() << "LOCKSTEP_DATA is not set";
  const auto config =
      Parse(fmt::format("train {{ parallel {{ source: '{0}/train.de.gz' target: '{0}/train.en.gz' }} }} "
                        "tokenizer {{ sentencepiece: '{1}/examples/data/multi30k.model' }}",
                        RealData() + "/multi30k", LOCKSTEP_SOURCE_DIR));
  const auto dataset = Open(config);
  ASSERT_EQ(dataset->size(), 29000u);
  EXPECT_EQ(dataset->classes(), 4000);
  EXPECT_EQ(dataset->marks().begin, 1);
  EXPECT_EQ(dataset->marks().end, 2);
  EXPECT_EQ(dataset->Reference(0, 0), "Two young, White males are outside near many bushes.");
  int64_t longest = 0, changed = 0;
  for (uint64_t id = 0; id < dataset->size(); ++id) {
    const std::vector<int32_t> target = Read(*dataset, id, 1);
    if (dataset->TextOf(target) != dataset->Reference(0, id)) ++changed;
    longest = std::max(longest, std::max(Lengths(*dataset, id)[0], Lengths(*dataset, id)[1]));
  }
  EXPECT_EQ(changed, 1) << "two blanks inside a sentence are one in SentencePiece's text";
  EXPECT_GT(longest, 40);
  EXPECT_LT(longest, 100);
}

}  // namespace
}  // namespace lockstep::data
