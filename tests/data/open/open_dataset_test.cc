#include "data/open/open_dataset.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "data/memory_dataset.h"
#include "data/text/open_tokenizer.h"
#include "data/text/tokenizers/character_tokenizer.h"
#include "data/text/tokenizers/tokenizer.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

Source ParseSource(const std::string& text) {
  Source source;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &source)) << text;
  return source;
}

std::unique_ptr<Dataset> Open(const std::string& text, const std::string& field = "data.train", uint64_t seed = 1) {
  return OpenDataset(ParseSource(text), field, seed);
}

std::vector<std::byte> InputOf(const Dataset& dataset, uint64_t id) {
  Sample sample;
  dataset.Read(0, id, sample);
  return sample.tensors[0].bytes;
}

int LabelOf(const Dataset& dataset, uint64_t id) {
  Sample sample;
  dataset.Read(0, id, sample);
  return sample.tensors[1].As<int32_t>()[0];
}

TEST(OpenDataset, TakesTheFirstSamplesAndLeavesOutTheFirst) {
  const TempFolder folder;
  const std::string csv = fmt::format("csv {{ file: '{}' }} ", folder.Write("x.csv", "0,0\n0,1\n0,2\n0,3\n0,4\n"));
  const auto labels = [](const Dataset& dataset) {
    std::vector<int> labels;
    for (uint64_t id = 0; id < dataset.size(); ++id) labels.push_back(LabelOf(dataset, id));
    return labels;
  };
  EXPECT_EQ(labels(*Open(csv)), (std::vector{0, 1, 2, 3, 4}));
  EXPECT_EQ(labels(*Open(csv + "limit: 2")), (std::vector{0, 1}));
  EXPECT_EQ(labels(*Open(csv + "skip: 2")), (std::vector{2, 3, 4}));
  EXPECT_EQ(labels(*Open(csv + "skip: 1 limit: 2")), (std::vector{1, 2}));
  EXPECT_EQ(labels(*Open(csv + "limit: 100")), (std::vector{0, 1, 2, 3, 4}));
  EXPECT_EQ(Open(csv + "limit: 2")->classes(), 5) << "a cut must not change the model";

  std::set<uint64_t> fingerprints;
  for (const char* cut : {"", "limit: 2", "skip: 2", "skip: 1 limit: 2", "skip: 2 limit: 2"}) {
    fingerprints.insert(Open(csv + cut)->fingerprint());
  }
  EXPECT_EQ(fingerprints.size(), 5u);
  EXPECT_EQ(Open(csv)->fingerprint(), Open(csv + "limit: 100")->fingerprint());
  ExpectError(ErrorKind::kUsage, {"data.train.skip", "5 samples"}, [&] { Open(csv + "skip: 5"); });
}

TEST(OpenDataset, AsksForAFormat) {
  ExpectError(ErrorKind::kUsage, {"data.train: no data is named", "idx, cifar, csv"}, [] { Open("limit: 3"); });
}

TEST(OpenDataset, ReadsTheDigitsOfTheExamples) {
  const std::string file = LOCKSTEP_SOURCE_DIR "/examples/data/digits.csv.gz";
  const auto digits = Open(fmt::format("csv {{ file: '{}' image {{ height: 8 width: 8 }} }}", file));
  ASSERT_EQ(digits->size(), 1797u);
  EXPECT_EQ(digits->classes(), 10);
  EXPECT_EQ(digits->fields()[0].shape, (Shape{8, 8, 1}));
  for (uint64_t id = 0; id < 10; ++id) EXPECT_EQ(LabelOf(*digits, id), static_cast<int>(id));
}

TEST(Synthetic, IsAFunctionOfSeedSplitAndId) {
  const std::string text = "synthetic { samples: 50 image { height: 5 width: 3 } classes: 7 }";
  const auto dataset = Open(text);
  ASSERT_EQ(dataset->size(), 50u);
  EXPECT_EQ(dataset->classes(), 7);
  EXPECT_EQ(dataset->fields()[0].shape, (Shape{5, 3, 1}));
  EXPECT_EQ(InputOf(*dataset, 3), InputOf(*Open(text), 3));
  EXPECT_EQ(dataset->fingerprint(), Open(text)->fingerprint());
  EXPECT_NE(InputOf(*dataset, 3), InputOf(*dataset, 4));
  for (const auto& other : {Open(text, "data.train", 2), Open(text, "data.test", 1)}) {
    EXPECT_NE(InputOf(*dataset, 3), InputOf(*other, 3));
    EXPECT_NE(dataset->fingerprint(), other->fingerprint());
  }
  std::set<int> labels;
  for (uint64_t id = 0; id < 50; ++id) labels.insert(LabelOf(*dataset, id));
  EXPECT_EQ(labels, (std::set{0, 1, 2, 3, 4, 5, 6}));
}

TEST(Synthetic, FeaturesHaveMeanZeroAndVarianceOne) {
  const auto dataset = Open("synthetic { features: 1001 samples: 100 }");
  Sample sample;
  double sum = 0, squares = 0;
  for (uint64_t id = 0; id < 100; ++id) {
    dataset->Read(0, id, sample);
    for (float value : sample.tensors[0].As<float>()) sum += value, squares += double{value} * value;
  }
  EXPECT_NEAR(sum / 100100, 0, 0.02);
  EXPECT_NEAR(squares / 100100, 1, 0.02);
}

TEST(Synthetic, WantsOneShape) {
  ExpectError(ErrorKind::kUsage, {"data.train.synthetic: set one of image, features, tokens and speech"},
              [] { Open("synthetic {}"); });
  ExpectError(ErrorKind::kUsage, {"data.train.synthetic"},
              [] { Open("synthetic { features: 2 image { height: 1 width: 1 } }"); });
  ExpectError(ErrorKind::kUsage, {"data.train.synthetic.image"}, [] { Open("synthetic { image { height: 1 } }"); });
  ExpectError(ErrorKind::kUsage, {"data.train.synthetic.image"},
              [] { Open("synthetic { image { height: 4294967295 width: 4294967295 channels: 4294967295 } }"); });
  ExpectError(ErrorKind::kUsage, {"data.train.synthetic.classes"},
              [] { Open("synthetic { features: 1 classes: 4294967295 }"); });
}

TEST(CheckCompatible, NamesShapesAndLabelsThatDiffer) {
  const TempFolder folder;
  const auto open = [&](const std::string& text, const std::string& config = "") {
    return Open(fmt::format("csv {{ file: '{}' {} }}", folder.Write("x.csv", text), config));
  };
  const auto train = open("1,2,0\n1,2,1\n");
  CheckCompatible(*train, *open("3,4,1\n"), "data.test");
  CheckCompatible(*train, *TakeSlice(open("3,4,1\n3,4,2\n"), 0, 1), "data.test");
  ExpectError(ErrorKind::kData,
              {"data.test: label out of range: sample 1 (from 0) has label 2, but data.train has classes 0 to 1"},
              [&] { CheckCompatible(*train, *open("3,4,1\n3,4,2\n"), "data.test"); });
  ExpectError(ErrorKind::kData, {"data.validation", "features f32 [3], label i32 []", "features f32 [2], label i32 []"},
              [&] { CheckCompatible(*train, *open("1,2,3,0\n"), "data.validation"); });
  ExpectError(ErrorKind::kData, {"target f32 [1]"},
              [&] { CheckCompatible(*train, *open("1,2,0\n", "target_columns: 2"), "data.test"); });
}

TEST(CheckCompatible, NamesVocabulariesThatDiffer) {
  const auto tokens = [](int classes) { return Open(fmt::format("synthetic {{ tokens: 4 classes: {} }}", classes)); };
  CheckCompatible(*tokens(9), *tokens(9), "data.test");
  for (const int other : {8, 10}) {
    ExpectError(ErrorKind::kData, {"data.test: its vocabulary has", "use the same vocabulary"},
                [&] { CheckCompatible(*tokens(9), *tokens(other), "data.test"); });
  }
}

TEST(OpenText, WhatIsNoUtf8IsForBytesAlone) {
  const TempFolder folder;
  const Source source =
      ParseSource(fmt::format("text {{ file: '{}' }}", folder.Write("latin1", "one two\ncaf\xE9 au lait\n")));
  const auto open = [&](std::shared_ptr<const Tokenizer> tokenizer) {
    return OpenDataset(source, "data.train", 1, Verify::AUTO, {.tokenizer = std::move(tokenizer), .block = 4});
  };
  EXPECT_EQ(open(MakeByteTokenizer())->size(), 5u);
  ExpectError(ErrorKind::kData, {"latin1:2: there is byte 0xE9, which is no UTF-8", "iconv"},
              [&] { open(MakeCharacterTokenizer("a")); });
  DataConfig config;
  *config.mutable_train() = source;
  ExpectError(ErrorKind::kData, {"latin1:2: there is byte 0xE9"}, [&] { OpenTokenizer(config); });
}

TEST(OpenText, AnEmptyFileIsNamed) {
  const TempFolder folder;
  const Source source = ParseSource(fmt::format("text {{ file: '{}' }}", folder.Write("empty", "")));
  ExpectError(ErrorKind::kData, {"/empty: the file is empty", "name a file that has text"}, [&] {
    OpenDataset(source, "data.train", 1, Verify::AUTO, {.tokenizer = MakeByteTokenizer(), .block = 4});
  });
}

TEST(OpenText, BesideSamplesThatAreNoTextIsRefused) {
  ExpectError(ErrorKind::kUsage, {"data.train.text", "no text"}, [] { Open("text { file: \"/nowhere\" }"); });
  ExpectError(ErrorKind::kUsage, {"data.train.tokens", "no text"}, [] { Open("tokens { files: \"/nowhere\" }"); });
}

TEST(Fingerprint, OfLargeDataSeesSizesAndSomeBlocksUnlessAskedForAll) {
  Records records{.format = "test 1", .size = 1 << 20};
  records.columns.push_back({{"features", DType::kU8, Shape{1}}, std::vector<std::byte>(1 << 20)});
  const auto hash = [&](uint64_t seed, Verify::Value verify) {
    return Fingerprint(records, {.seed = seed, .verify = verify, .whole_up_to = 1 << 10});
  };
  const uint64_t some = hash(1, Verify::AUTO), all = hash(1, Verify::FULL);
  EXPECT_EQ(some, hash(1, Verify::AUTO));
  EXPECT_EQ(all, hash(2, Verify::FULL));
  EXPECT_NE(some, all);
  records.columns[0].bytes[records.columns[0].bytes.size() / 2] = std::byte{1};
  EXPECT_NE(some, hash(1, Verify::AUTO));  // 4,096 draws of 16 blocks miss none
  EXPECT_NE(all, hash(1, Verify::FULL));
}

}  // namespace
}  // namespace lockstep::data
