#include "data/open/open_splits.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/open/make_transform.h"
#include "data/open/resolve_vocabulary.h"
#include "data/open/settle_data.h"
#include "data/statistics.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

DataConfig Config(const std::string& text) {
  DataConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

/// 60 rows, sorted by class, with a gap, a category and a constant column.
std::string Table() {
  std::string text = "a,b,color,one,patient,kind\n";
  for (int i = 0; i < 60; ++i)
    text += fmt::format("{},{},{},7,p{},{}\n", i == 7 ? "NA" : std::to_string(i), 1000 * i * i, i % 2 ? "red" : "blue",
                        i % 12,
                        i < 20   ? "ape"
                        : i < 40 ? "bee"
                                 : "cat");
  return text;
}

class OpenSplitsTest : public testing::Test {
 protected:
  DataConfig Csv(const std::string& more) {
    return Config(
        fmt::format("train {{ csv {{ file: '{}' label: 'kind' categorical: 'color' missing: MEAN skip: 'patient' "
                    "}} }} {}",
                    path_, more));
  }
  TempFolder folder_;
  const std::string path_ = folder_.Write("x.csv", Table());
};

OpenedSplits Open(const DataConfig& config) { return OpenSplits(config, 1, OptionsOf(config)); }

TEST_F(OpenSplitsTest, ASplitDealsOutTheTrainingData) {
  const OpenedSplits splits = Open(Csv("split { test: 0.2 validation: 0.1 }"));
  EXPECT_EQ(splits.train->size(), 42u);
  EXPECT_EQ(splits.validation->size(), 6u);
  EXPECT_EQ(splits.test->size(), 12u);
  EXPECT_EQ(splits.test->traits().class_names, (std::vector<std::string>{"ape", "bee", "cat"}));
  std::map<int32_t, int> tests;
  for (uint64_t id = 0; id < splits.test->size(); ++id) ++tests[splits.test->Describe(0, id).label];
  EXPECT_EQ(tests, (std::map<int32_t, int>{{0, 4}, {1, 4}, {2, 4}}));
  const std::set<uint64_t> fingerprints = {splits.train->fingerprint(), splits.validation->fingerprint(),
                                           splits.test->fingerprint()};
  EXPECT_EQ(fingerprints.size(), 3u);
}

TEST_F(OpenSplitsTest, StatisticsAreOfTheTrainingRowsAlone) {
  const OpenedSplits splits = Open(Csv("split { test: 0.5 }"));
  double sum = 0;
  int rows = 0;
  Sample sample;
  float filled = -1;
  for (const auto& part : {splits.train, splits.test}) {
    for (uint64_t id = 0; id < part->size(); ++id) {
      part->Read(0, id, sample);
      const float a = sample.tensors[0].As<float>()[0], b = sample.tensors[0].As<float>()[1];
      if (b == 49000) {
        filled = a;
      } else if (part == splits.train) {
        sum += a;
        ++rows;
      }
    }
  }
  EXPECT_EQ(filled, static_cast<float>(sum / rows));
}

TEST_F(OpenSplitsTest, GroupsAreNotPartedAndNotSeen) {
  DataConfig config = Csv("split { test: 0.25 group: 'patient' }");
  config.mutable_train()->mutable_csv()->clear_skip();
  const OpenedSplits splits = Open(config);
  std::set<std::string> train, test;
  for (uint64_t id = 0; id < splits.train->size(); ++id) train.insert(splits.train->Describe(0, id).group);
  for (uint64_t id = 0; id < splits.test->size(); ++id) test.insert(splits.test->Describe(0, id).group);
  EXPECT_EQ(train.size() + test.size(), 12u);
  for (const std::string& group : test) EXPECT_EQ(train.count(group), 0u) << group;
  EXPECT_EQ(splits.train->fields()[0].shape, (Shape{5}));
}

TEST_F(OpenSplitsTest, WhatTheDataDecideIsWrittenIntoTheRecipe) {
  DataConfig config = Csv("normalize { auto {} }");
  const OpenedSplits splits = Open(config);
  SettleData(splits.train, 1, config);
  EXPECT_EQ(config.sample().input(), "features");
  EXPECT_EQ(config.sample().shape(0), 5);
  EXPECT_EQ(config.sample().classes(), 3u);
  EXPECT_EQ(config.class_names_size(), 3);
  EXPECT_EQ(config.table().columns(2).values(1), "red");
  EXPECT_FALSE(config.normalize().has_auto_());
  // The categories' features stay 0 and 1, and what is always the same is divided by 1.
  EXPECT_EQ(config.normalize().mean(2), 0);
  EXPECT_EQ(config.normalize().deviation(3), 1);
  EXPECT_EQ(config.normalize().mean(4), 7);
  EXPECT_EQ(config.normalize().deviation(4), 1);

  const auto transform = MakeTransform(splits.train->fields(), config, 1);
  const ChannelStatistics after = Measure(splits.train, *transform, 0, 1000, 1);
  EXPECT_NEAR(after.mean[1], 0, 1e-6);
  EXPECT_NEAR(after.deviation[1], 1, 1e-6);

  DataConfig again = config;
  SettleData(Open(again).train, 1, again);
  EXPECT_EQ(again.SerializeAsString(), config.SerializeAsString());
  config.mutable_normalize()->mutable_auto_();
  ExpectError(ErrorKind::kUsage, {"data.normalize.auto", "beside"}, [&] { SettleData(splits.train, 1, config); });
}

TEST_F(OpenSplitsTest, PartsThatLackClassesAreWarnedOf) {
  testing::internal::CaptureStderr();
  DataConfig config = Csv("");
  config.mutable_train()->set_limit(40);
  *config.mutable_test() = config.train();
  config.mutable_test()->clear_limit();
  config.mutable_test()->set_skip(40);
  Open(config);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("data.test has classes that are never trained on: cat"),
            std::string::npos);
}

TEST_F(OpenSplitsTest, TextIsCutIntoPieces) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>('a' + i % 7);
  const std::string path = folder_.Write("t.txt", text);
  const auto open = [&](const std::string& more) {
    DataConfig config = Config("block: 8 " + more);
    for (auto* source : {config.has_train() ? config.mutable_train() : nullptr,
                         config.has_validation() ? config.mutable_validation() : nullptr,
                         config.has_test() ? config.mutable_test() : nullptr})
      if (source != nullptr) source->mutable_text()->set_file(path);
    OpenOptions options = OptionsOf(config);
    options.tokenizer = ResolveVocabulary(config);
    return OpenSplits(config, 1, options);
  };
  const OpenedSplits cut = open("train { text { begin: 0.1 end: 0.9 } } split { test: 0.25 validation: 0.125 }");
  const OpenedSplits named = open(
      "train { text { begin: 0.1 end: 0.6 } } validation { text { begin: 0.6 end: 0.7 } } test { text { begin: 0.7 "
      "end: 0.9 } }");
  EXPECT_EQ(cut.train->fingerprint(), named.train->fingerprint());
  EXPECT_EQ(cut.validation->fingerprint(), named.validation->fingerprint());
  EXPECT_EQ(cut.test->fingerprint(), named.test->fingerprint());
  EXPECT_EQ(open("train { text {} } split { test: 0.5 }").validation, nullptr);
  ExpectError(ErrorKind::kUsage, {"data.split", "nothing to train on"},
              [&] { open("train { text {} } split { test: 0.5 validation: 0.5 }"); });
}

TEST_F(OpenSplitsTest, WhatCannotBeDealtOutIsNamed) {
  const std::string text = folder_.Write("t.txt", std::string(500, 'x') + "\n");
  const auto refuse = [&](const DataConfig& config, const std::vector<std::string>& parts) {
    ExpectError(ErrorKind::kUsage, parts, [&] { Open(config); });
  };
  refuse(Config("train { text { file: '" + text + "' } } block: 8 split { test: 0.2 group: 'page' }"),
         {"data.split.group", "cut into pieces"});
  refuse(Config("train { text { file: '" + text + "' } limit: 3 } block: 8 split { test: 0.2 }"),
         {"data.split", "limit and skip"});
  DataConfig both = Csv("split { test: 0.2 }");
  *both.mutable_test() = both.train();
  refuse(both, {"data.split", "data of its own"});
  refuse(Csv("split { test: 0.2 group: 'nobody' }"), {"data.split.group", "no column nobody"});
}

TEST(Statistics, AreThoseOfTheDefinition) {
  const TempFolder folder;
  std::string text;
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) {
    const double value = 1e6 + std::sin(i) * 3;
    values.push_back(static_cast<float>(value));
    text += fmt::format("{},{}\n", value, i % 2);
  }
  const DataConfig config = Config("train { csv { file: '" + folder.Write("s.csv", text) + "' } }");
  const auto train = Open(config).train;
  const ChannelStatistics statistics = Measure(train, *MakeTransform(train->fields(), config, 1), 0, 1u << 20, 1);
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / 1000;
  for (const double value : values) squares += (value - mean) * (value - mean) / 1000;
  EXPECT_NEAR(statistics.mean[0] / mean, 1, 1e-14);
  EXPECT_NEAR(statistics.deviation[0] / std::sqrt(squares), 1, 1e-9);
}

}  // namespace
}  // namespace lockstep::data
