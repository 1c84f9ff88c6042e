#include "trainer/records/evaluation_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/base/temporary_folder.h"

namespace lockstep::records {
namespace {

using testing::ElementsAre;

SplitRecord Classified(const std::string& split, uint64_t step) {
  SplitRecord record{
      .split = split, .step = step, .samples = 3, .metrics = {{"loss", 0.5}}, .classes = {"cat", "dog", "<fox>"}};
  const std::vector<float> probabilities = {0.5F, 0.25F, 0.25F, 0.125F, 0.75F, 0.125F, 0.5F, 0.25F, 0.25F};
  record.classification = metrics::MeasureClassification(probabilities, std::vector<int32_t>{0, 1, 1}, 3);
  record.worst.push_back({.sample = 2, .name = "b\xFF.png", .expected = "dog", .answer = "cat", .probability = 0.5});
  return record;
}

TEST(EvaluationRecord, IsReadAsItWasWritten) {
  EvaluationRecord record{.time = 1795262243, .splits = {Classified("test", 45)}};
  SplitRecord regression{.split = "validation", .step = 45, .samples = 2, .targets = {"price", "area"}};
  regression.regression =
      metrics::MeasureRegression(std::vector<double>{1, 2, 3, 5}, std::vector<double>{1, 2, 2, 5}, 2);
  record.splits.push_back(regression);
  SplitRecord texts{.split = "train", .step = 45, .samples = 2, .worst_by = "cer"};
  texts.worst.push_back({.sample = 1, .expected = "one two", .answer = "one", .score = 0.5});
  record.splits.push_back(texts);
  const std::string text = FormatEvaluation(record);
  const auto read = ParseEvaluation(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(FormatEvaluation(*read), text);
  EXPECT_EQ(read->time, 1795262243);
  const SplitRecord& test = read->splits[0];
  EXPECT_THAT(test.classes, ElementsAre("cat", "dog", "<fox>"));
  EXPECT_THAT(test.classification->confusion, ElementsAre(1, 0, 0, 1, 1, 0, 0, 0, 0));
  EXPECT_EQ(test.classification->log_loss, record.splits[0].classification->log_loss);
  EXPECT_TRUE(std::isnan(test.classification->classes[2].recall)) << "what is not defined stays so";
  EXPECT_EQ(test.worst[0].name, "b\xEF\xBF\xBD.png");
  EXPECT_EQ(test.worst[0].probability, 0.5);
  EXPECT_FALSE(test.worst[0].loss);
  EXPECT_EQ(read->splits[1].regression->targets[0].mse, 0.5);
  EXPECT_EQ(read->splits[1].worst_by, "");
  EXPECT_EQ(read->splits[2].worst_by, "cer");
  EXPECT_EQ(read->splits[2].worst[0].score, 0.5);
}

TEST(EvaluationRecord, WhatIsOfAnotherFormIsNotThere) {
  EXPECT_FALSE(ParseEvaluation(""));
  EXPECT_FALSE(ParseEvaluation("[1]"));
  EXPECT_FALSE(ParseEvaluation(R"({"splits": [)"));
  EXPECT_TRUE(ParseEvaluation(R"({"splits": 3})")->splits.empty());
  const auto read = ParseEvaluation(R"({"splits": [7, {"split": 7, "metrics": {"loss": "x", "wer": 1},
      "classification": {"classes": [{"name": 1}, {}], "confusion": [[1, 2], [3]]}, "regression": [], "worst": [{}, 4]}]})");
  ASSERT_EQ(read->splits.size(), 1u);
  EXPECT_EQ(read->splits[0].metrics, (std::map<std::string, double>{{"wer", 1}}));
  EXPECT_FALSE(read->splits[0].classification) << "its matrix is none";
  EXPECT_FALSE(read->splits[0].regression);
  EXPECT_EQ(read->splits[0].worst.size(), 1u);
}

TEST(EvaluationRecord, SplitsOfTheSameStepAreKept) {
  const TemporaryFolder folder;
  FileSystem& files = FileSystem::Real();
  const auto splits = [&] {
    std::vector<std::string> names;
    const auto record = ParseEvaluation(ReadWholeFile(files, folder / "evaluation.json"));
    for (const SplitRecord& split : record->splits) names.push_back(split.split + std::to_string(split.step));
    return names;
  };
  WriteEvaluation(files, folder.path(), {.splits = {Classified("test", 45)}});
  WriteEvaluation(files, folder.path(), {.splits = {Classified("validation", 45)}});
  EXPECT_THAT(splits(), ElementsAre("validation45", "test45"));
  WriteEvaluation(files, folder.path(), {.splits = {Classified("test", 90)}});
  EXPECT_THAT(splits(), ElementsAre("test90"));
}

}  // namespace
}  // namespace lockstep::records
