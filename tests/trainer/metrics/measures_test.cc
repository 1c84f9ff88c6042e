#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "trainer/metrics/classification.h"
#include "trainer/metrics/metric_tables.h"
#include "trainer/metrics/regression.h"

namespace lockstep::metrics {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

constexpr double kTolerance = 1e-12;
constexpr float kPartsOfOne = 64;  // of the golden probabilities

/// What scikit-learn makes of small cases with ties, empty classes and constant targets (compare_sklearn.py write).
const Json& Golden() {
  static const Json table = [] {
    std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/trainer/metrics/expected_measures.json");
    return Json::parse(file);
  }();
  return table;
}

/// null stands for what is not defined.
void ExpectSame(const Json& expected, const std::vector<double>& values, const std::string& what) {
  const Json list = expected.is_array() ? expected : Json::array({expected});
  ASSERT_EQ(list.size(), values.size()) << what;
  for (size_t i = 0; i < values.size(); ++i) {
    if (list[i].is_null())
      EXPECT_TRUE(std::isnan(values[i])) << what << " " << i << ": " << values[i];
    else
      EXPECT_NEAR(values[i], list[i].get<double>(), kTolerance) << what << " " << i;
  }
}

std::vector<double> Each(const std::vector<ClassNumbers>& classes, double ClassNumbers::*number) {
  std::vector<double> values;
  for (const ClassNumbers& numbers : classes) values.push_back(numbers.*number);
  return values;
}

TEST(Classification, NumbersAreScikitLearns) {
  for (const Json& row : Golden()["classifications"]) {
    std::vector<float> probabilities;
    for (const int parts : row["parts"]) probabilities.push_back(static_cast<float>(parts) / kPartsOfOne);
    const auto labels = row["labels"].get<std::vector<int32_t>>();
    const Classification result = MeasureClassification(probabilities, labels, row["classes"]);
    const Json& expected = row["expected"];
    EXPECT_EQ(Json(result.confusion), expected["confusion"]);
    for (size_t i = 0; i < result.classes.size(); ++i) EXPECT_EQ(result.classes[i].support, expected["support"][i]);
    ExpectSame(expected["precision"], Each(result.classes, &ClassNumbers::precision), "precision");
    ExpectSame(expected["recall"], Each(result.classes, &ClassNumbers::recall), "recall");
    ExpectSame(expected["f1"], Each(result.classes, &ClassNumbers::f1), "f1");
    ExpectSame(expected["class_auc"], Each(result.classes, &ClassNumbers::auc), "class_auc");
    ExpectSame(expected["macro"], {result.macro.precision, result.macro.recall, result.macro.f1}, "macro");
    ExpectSame(expected["weighted"], {result.weighted.precision, result.weighted.recall, result.weighted.f1},
               "weighted");
    ExpectSame(expected["accuracy"], {result.accuracy}, "accuracy");
    ExpectSame(expected["balanced_accuracy"], {result.balanced_accuracy}, "balanced_accuracy");
    ExpectSame(expected["top5"], {result.top5}, "top5");
    ExpectSame(expected["auc"], {result.auc}, "auc");
    ExpectSame(expected["calibration_error"], {result.calibration_error}, "calibration_error");
    ExpectSame(expected["log_loss"], {result.log_loss}, "log_loss");
  }
}

TEST(Classification, OfEqualScoresTheAreaIsAHalf) {
  const std::vector<float> probabilities(8, 0.5F);
  const Classification result = MeasureClassification(probabilities, std::vector<int32_t>{0, 1, 1, 0}, 2);
  EXPECT_EQ(result.auc, 0.5);
  EXPECT_EQ(result.classes[1].predicted, 0) << "the first of equal classes is the answer";
}

TEST(Classification, ProbabilitiesOfZeroAreClipped) {
  const Classification result = MeasureClassification(std::vector<float>{1, 0, 0, 1}, std::vector<int32_t>{1, 1}, 2);
  EXPECT_NEAR(result.log_loss, 0.5 * 52 * std::log(2.0), kTolerance);
  EXPECT_EQ(result.calibration_error, 0.5) << "two certain answers, one right";
}

TEST(Classification, OfNothingIsUndefined) {
  const Classification result = MeasureClassification({}, {}, 3);
  for (const double number : {result.accuracy, result.balanced_accuracy, result.auc, result.log_loss, result.macro.f1,
                              result.calibration_error, result.top5, result.classes[0].precision})
    EXPECT_TRUE(std::isnan(number)) << number;
  EXPECT_EQ(result.samples, 0);
}

TEST(Classification, NanIsNeverTheAnswerAndSpoilsWhatNeedsIt) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(MostProbable(std::vector<float>{nan, 0.1F, 0.3F, nan}), 2);
  EXPECT_EQ(MostProbable(std::vector<float>{nan, nan}), 0);
  const std::vector<float> probabilities = {0.2F, 0.8F, nan, 0.3F};
  const Classification result = MeasureClassification(probabilities, std::vector<int32_t>{1, 0}, 2);
  EXPECT_EQ(result.accuracy, 0.5);
  EXPECT_EQ(result.auc, 1) << "class 1 has no NaN";
  EXPECT_TRUE(std::isnan(result.classes[0].auc));
  EXPECT_TRUE(std::isnan(result.log_loss));
  EXPECT_TRUE(std::isnan(result.calibration_error));
}

TEST(Classification, AnswersAloneGiveWhatNeedsNoProbabilities) {
  const std::vector<int32_t> answers = {0, 1, 1}, labels = {0, 1, 0};
  const Classification result = MeasureAnswers(answers, labels, 2);
  EXPECT_NEAR(result.accuracy, 2.0 / 3, kTolerance);
  EXPECT_EQ(result.confusion, (std::vector<int64_t>{1, 1, 0, 1}));
  EXPECT_TRUE(std::isnan(result.auc) && std::isnan(result.log_loss) && std::isnan(result.top5));
}

TEST(Regression, NumbersAreScikitLearns) {
  for (const Json& row : Golden()["regressions"]) {
    const auto predicted = row["predicted"].get<std::vector<double>>(),
               expected = row["values"].get<std::vector<double>>();
    const Regression result = MeasureRegression(predicted, expected, row["targets"]);
    const auto list = [](const RegressionNumbers& numbers) {
      return std::vector<double>{numbers.mse, numbers.rmse, numbers.mae, numbers.r2};
    };
    ExpectSame(row["expected"]["mean"], list(result.mean), "mean");
    for (size_t t = 0; t < result.targets.size(); ++t)
      ExpectSame(row["expected"]["targets"][t], list(result.targets[t]), "target");
  }
}

TEST(Regression, ATargetThatDoesNotVaryIsExplainedWhollyOrNotAtAll) {
  // 0.1 * 3 / 3 is another number than 0.1: the mean must not be rounded.
  const std::vector<double> constant(3, 0.1), other = {0.1, 0.1, 0.2};
  EXPECT_EQ(MeasureRegression(constant, constant, 1).mean.r2, 1);
  EXPECT_EQ(MeasureRegression(other, constant, 1).mean.r2, 0);
  EXPECT_TRUE(std::isnan(MeasureRegression({}, {}, 2).targets[1].mae));
}

TEST(MetricTables, AlignNamesOfAnyScript) {
  const Classification result = MeasureAnswers(std::vector<int32_t>{0, 1, 1}, std::vector<int32_t>{0, 1, 0}, 3);
  const std::vector<std::string> names = {"Äpfel", "pears", "a name that is longer than a column should be"};
  const std::string text = FormatTable(result, names);
  EXPECT_THAT(text, HasSubstr("class                         precision  recall      F1  AUC  samples\n"
                              "Äpfel                            1.0000  0.5000  0.6667    -        2\n"
                              "pears                            0.5000  1.0000  0.6667    -        1\n"
                              "a name that is longer tha...          -       -       -    -        0\n"
                              "mean of classes                  0.7500  0.7500  0.6667    -        3\n"));
  EXPECT_THAT(text, HasSubstr("accuracy 0.6667  balanced accuracy 0.7500\n"));
  EXPECT_THAT(text, HasSubstr("Äpfel                             1      1                             0\n"));
}

TEST(MetricTables, OfManyClassesTheWorstAndTheMostFrequentConfusionsAreShown) {
  std::vector<int32_t> answers, labels;
  for (int32_t i = 0; i < 300; ++i) {
    labels.push_back(i % 100);
    answers.push_back(i % 100 < 3 ? 99 : i % 100);
  }
  const std::string text = FormatTable(MeasureAnswers(answers, labels, 100), {});
  EXPECT_THAT(text, HasSubstr("(of 100 classes the 20 with the lowest F1)"));
  EXPECT_THAT(text, HasSubstr("is  taken for  samples\n0          99        3\n1          99        3\n"));
}

TEST(MetricTables, RegressionsHaveARowATargetAndTheirMean) {
  const std::vector<double> predicted = {1, 20, 2, 30}, expected = {1, 21, 2, 29};
  const std::vector<std::string> names = {"price", "area"};
  EXPECT_EQ(FormatTable(MeasureRegression(predicted, expected, 2), names),
            "target      R2  MAE  RMSE  MSE\n"
            "price   1.0000    0     0    0\n"
            "area    0.9375    1     1    1\n"
            "mean    0.9688  0.5   0.5  0.5\n");
}

}  // namespace
}  // namespace lockstep::metrics
