#include "trainer/metrics/detection/coco_eval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "tests/trainer/metrics/detection/detection_test_cases.h"
#include "trainer/metrics/detection/mean.h"

namespace lockstep::metrics {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
/// Of one right detection and no wrong one, as COCO has it.
constexpr double kPerfect = 1 / (1 + kEpsilon);

constexpr auto kRight = static_cast<uint8_t>(Outcome::kRight);
constexpr auto kWrong = static_cast<uint8_t>(Outcome::kWrong);
constexpr auto kIgnored = static_cast<uint8_t>(Outcome::kIgnored);

Truth TruthAt(const Box& box, int32_t category = 0) { return {.box = box, .category = category, .area = box.area()}; }

/// The outcomes of the only entry's detections.
std::vector<uint8_t> OutcomesAt(const Matches& matches, size_t area, size_t threshold) {
  const size_t count = matches.scores.size(), row = area * 10 + threshold;
  return {matches.outcomes.begin() + row * count, matches.outcomes.begin() + (row + 1) * count};
}

TEST(CocoEval, NumbersArePycocotools) {
  const std::vector<DetectionCase> cases = ReadDetectionCases();
  EXPECT_GT(cases.size(), 20);
  for (const DetectionCase& golden : cases) {
    Matches matches;
    for (size_t image = 0; image < golden.truths.size(); ++image)
      matches.Append(MatchImage(golden.truths[image], golden.detections[image]));
    const CocoResult result = Accumulate(matches, golden.categories);
    EXPECT_EQ(nlohmann::json(result.summary.Numbers()), golden.expected["summary"]);
    EXPECT_EQ(nlohmann::json(result.category_ap), golden.expected["category_ap"]);
  }
}

TEST(CocoEval, ThresholdsAreNumpys) {
  const CocoParameters parameters;
  EXPECT_EQ(parameters.iou_thresholds[5], 0.75) << "AP75 is that threshold's";
  EXPECT_EQ(parameters.iou_thresholds[8], 0.8999999999999999) << "numpy.linspace(0.5, 0.95, 10)[8]";
  EXPECT_EQ(parameters.recall_thresholds[35], 0.35000000000000003) << "numpy.linspace(0, 1, 101)[35]";
  EXPECT_EQ(parameters.recall_thresholds.back(), 1);
}

TEST(CocoEval, OfTwoTruthsAndOneFoundHalfTheCurveIsThere) {
  // A right detection, a wrong one, and a truth that is missed: precision 1 up to recall 0.5.
  const std::vector<Truth> truths = {TruthAt({0, 0, 10, 10}), TruthAt({50, 50, 10, 10})};
  const std::vector<Detection> detections = {{{0, 0, 10, 10}, 0, 0.9}, {{100, 0, 10, 10}, 0, 0.8}};
  const CocoResult result = Accumulate(MatchImage(truths, detections), 1);
  EXPECT_DOUBLE_EQ(result.summary.ap, 51 * kPerfect / 101);
  EXPECT_EQ(result.summary.recall_1, 0.5);
  EXPECT_EQ(result.summary.ap_small, result.summary.ap);
  EXPECT_EQ(result.summary.ap_medium, -1) << "there are none of that size";
  EXPECT_EQ(result.summary.recall_large, -1);
}

TEST(CocoEval, AtEachThresholdAnOverlapIsEnoughOrNot) {
  const Matches matches =
      MatchImage(std::vector{TruthAt({0, 0, 10, 10})}, std::vector<Detection>{{{0, 0, 10, 7}, 0, 0.5}});
  for (size_t threshold = 0; threshold < 10; ++threshold)  // 0.5, 0.55, 0.6, 0.65, 0.7 ...
    EXPECT_THAT(OutcomesAt(matches, 0, threshold), ElementsAre(threshold <= 4 ? kRight : kWrong));
}

TEST(CocoEval, OfEqualOverlapsTheLaterTruthIsTaken) {
  // The first detection overlaps both by half; the second overlaps only the later one, which is taken.
  const std::vector<Truth> truths = {TruthAt({0, 0, 10, 10}), TruthAt({10, 0, 10, 10})};
  const std::vector<Detection> detections = {{{0, 0, 20, 10}, 0, 0.9}, {{10, 0, 10, 10}, 0, 0.8}};
  EXPECT_THAT(OutcomesAt(MatchImage(truths, detections), 0, 0), ElementsAre(kRight, kWrong));
}

TEST(CocoEval, OfEqualScoresTheEarlierDetectionIsFirst) {
  const std::vector<Truth> truths = {TruthAt({0, 0, 10, 10})};
  const std::vector<Detection> detections = {{{0, 0, 10, 8}, 0, 0.5}, {{0, 0, 10, 10}, 0, 0.5}};
  EXPECT_THAT(OutcomesAt(MatchImage(truths, detections), 0, 0), ElementsAre(kRight, kWrong));
}

TEST(CocoEval, ACrowdMayBeFoundAnyNumberOfTimesAndCountsNothing) {
  Truth crowd = TruthAt({0, 0, 100, 100});
  crowd.crowd = true;
  const std::vector<Truth> truths = {crowd, TruthAt({0, 0, 10, 10})};
  const std::vector<Detection> detections = {
      {{0, 0, 10, 10}, 0, 0.9}, {{0, 0, 10, 10}, 0, 0.8}, {{50, 50, 10, 10}, 0, 0.7}, {{200, 0, 10, 10}, 0, 0.6}};
  const Matches matches = MatchImage(truths, detections);
  EXPECT_THAT(OutcomesAt(matches, 0, 0), ElementsAre(kRight, kIgnored, kIgnored, kWrong));
  EXPECT_EQ(matches.truths[0], 1);
}

TEST(CocoEval, BordersOfSizesBelongToBoth) {
  const std::vector<Truth> truths = {TruthAt({0, 0, 32, 32})};
  const std::vector<Detection> detections = {{{0, 0, 32, 32}, 0, 0.9}, {{200, 200, 96, 96}, 0, 0.8}};
  const Matches matches = MatchImage(truths, detections);
  EXPECT_THAT(matches.truths, ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(OutcomesAt(matches, 1, 0), ElementsAre(kRight, kIgnored)) << "96^2 is not small";
  EXPECT_THAT(OutcomesAt(matches, 2, 0), ElementsAre(kRight, kWrong)) << "96^2 is medium";
  EXPECT_THAT(OutcomesAt(matches, 3, 0), ElementsAre(kIgnored, kWrong)) << "96^2 is large, 32^2 is not";
}

TEST(CocoEval, OfACategoryInAnImageAHundredDetectionsCount) {
  const std::vector<Truth> truths = {TruthAt({0, 0, 10, 10})};
  std::vector<Detection> detections(100, {{500, 500, 10, 10}, 0, 0.9});
  detections.push_back({{0, 0, 10, 10}, 0, 0.1});
  const Matches matches = MatchImage(truths, detections);
  EXPECT_EQ(matches.scores.size(), 100);
  EXPECT_EQ(Accumulate(matches, 1).summary.recall_100, 0);
  detections.erase(detections.begin());
  EXPECT_EQ(Accumulate(MatchImage(truths, detections), 1).summary.recall_100, 1);
  EXPECT_EQ(Accumulate(MatchImage(truths, detections), 1).summary.recall_10, 0);
}

TEST(CocoEval, OfNothingToFindAllIsMinusOne) {
  const std::vector<Detection> detections = {{{0, 0, 10, 10}, 1, 0.9}};
  const CocoResult result = Accumulate(MatchImage({}, detections), 2);
  EXPECT_THAT(result.summary.Numbers(), Each(-1));
  EXPECT_THAT(result.precision, Each(-1));
  EXPECT_THAT(result.category_ap, ElementsAre(-1, -1));
  EXPECT_THAT(Accumulate({}, 2).summary.Numbers(), Each(-1));
}

TEST(CocoEval, ScoresThatAreNanComeLast) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Truth> truths = {TruthAt({0, 0, 10, 10})};
  const std::vector<Detection> detections = {{{0, 0, 10, 10}, 0, nan}, {{0, 0, 10, 10}, 0, 0.1}};
  EXPECT_EQ(MatchImage(truths, detections).scores[0], 0.1);
}

TEST(CocoEval, RecordsThatDontFitAreRefused) {
  const Matches matches = MatchImage(std::vector{TruthAt({0, 0, 10, 10}, 3)}, {});
  EXPECT_THROW(Accumulate(matches, 3), Error) << "category 3 of 3";
  Matches cut = MatchImage({}, std::vector<Detection>{{{0, 0, 1, 1}, 0, 0.5}});
  cut.outcomes.pop_back();
  EXPECT_THROW(Accumulate(cut, 1), Error);
}

TEST(NumpyMean, AddsInBlocks) {
  EXPECT_EQ(NumpyMean(std::vector{1.0, 2.0, 6.0}), 3);
  // One after the other, 1e16 swallows each 1; in eight lanes only those of its own.
  std::vector<double> values(16, 1.0);
  values[0] = 1e16;
  EXPECT_EQ(NumpyMean(values), (1e16 + 14) / 16);
  EXPECT_TRUE(std::isnan(NumpyMean({})));
}

}  // namespace
}  // namespace lockstep::metrics
