#include "trainer/metrics/detection/all_point_ap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/trainer/metrics/detection/detection_test_cases.h"

namespace lockstep::metrics {
namespace {

const Box kHere = {0, 0, 10, 10}, kThere = {50, 50, 10, 10}, kNowhere = {200, 200, 10, 10};

double ApOf(const std::vector<Truth>& truths, const std::vector<Detection>& detections) {
  return AccumulateAllPoints(MatchBestOverlaps(truths, detections), 1).mean;
}

TEST(AllPointAp, IsWhatItsDefinitionGivesInPython) {
  size_t compared = 0;
  for (const DetectionCase& golden : ReadDetectionCases()) {
    if (!golden.expected.contains("all_point_ap")) continue;  // with crowds, which the definition doesn't know
    Matches matches;
    for (size_t image = 0; image < golden.truths.size(); ++image)
      matches.Append(MatchBestOverlaps(golden.truths[image], golden.detections[image]));
    const AllPointAp result = AccumulateAllPoints(matches, golden.categories);
    std::vector<double> numbers = result.categories;
    numbers.push_back(result.mean);
    for (size_t i = 0; i < numbers.size(); ++i) {
      const nlohmann::json& expected = golden.expected["all_point_ap"][i];
      EXPECT_TRUE(expected.is_null() ? std::isnan(numbers[i]) : numbers[i] == expected) << numbers[i] << expected;
      ++compared;
    }
  }
  EXPECT_GT(compared, 10);
}

TEST(AllPointAp, IsTheAreaUnderTheMonotoneCurve) {
  // Right, wrong, right: precision 1 up to recall 1/2, then 2/3.
  const std::vector<Truth> truths = {{.box = kHere}, {.box = kThere}};
  EXPECT_DOUBLE_EQ(ApOf(truths, {{kHere, 0, 0.9}, {kNowhere, 0, 0.8}, {kThere, 0, 0.7}}), 0.5 + 0.5 * 2 / 3);
  EXPECT_EQ(ApOf(truths, {}), 0);
  EXPECT_EQ(ApOf(truths, {{kHere, 0, 0.9}, {kThere, 0, 0.7}}), 1) << "COCO's would be a little less";
}

TEST(AllPointAp, ADetectionGoesToTheTruthThatItOverlapsMostThoughItIsTaken) {
  // The second one's nearest truth is taken; the other truth would do, by COCO's matching.
  const std::vector<Truth> truths = {{.box = {0, 0, 10, 10}}, {.box = {0, 2, 10, 10}}};
  const std::vector<Detection> detections = {{{0, 0, 10, 10}, 0, 0.9}, {{0, 0, 10, 10}, 0, 0.8}};
  EXPECT_EQ(ApOf(truths, detections), 0.5);
}

TEST(AllPointAp, OfEqualOverlapsTheEarlierTruthIsTaken) {
  // The first detection overlaps both by half; the second is the later truth, which is left.
  const std::vector<Truth> truths = {{.box = {0, 0, 10, 10}}, {.box = {10, 0, 10, 10}}};
  EXPECT_EQ(ApOf(truths, {{{0, 0, 20, 10}, 0, 0.9}, {{10, 0, 10, 10}, 0, 0.8}}), 1);
}

TEST(AllPointAp, CrowdsCountNothing) {
  const std::vector<Truth> truths = {{.box = {100, 100, 100, 100}, .crowd = true}, {.box = kHere}};
  EXPECT_EQ(ApOf(truths, {{{120, 120, 10, 10}, 0, 0.9}, {kHere, 0, 0.8}}), 1);
  EXPECT_TRUE(std::isnan(ApOf({truths[0]}, {{kHere, 0, 0.8}}))) << "nothing is to be found";
}

TEST(AllPointAp, TheMeanIsOfCategoriesThatHaveTruths) {
  const std::vector<Truth> truths = {{.box = kHere, .category = 1}, {.box = kThere, .category = 2}};
  const std::vector<Detection> detections = {{kHere, 0, 0.9}, {kHere, 1, 0.8}};
  const AllPointAp result = AccumulateAllPoints(MatchBestOverlaps(truths, detections), 3);
  EXPECT_TRUE(std::isnan(result.categories[0]));
  EXPECT_EQ(result.categories[1], 1);
  EXPECT_EQ(result.mean, 0.5);
}

}  // namespace
}  // namespace lockstep::metrics
