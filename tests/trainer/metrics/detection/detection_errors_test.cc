#include "trainer/metrics/detection/detection_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/trainer/metrics/detection/detection_test_cases.h"

namespace lockstep::metrics {
namespace {

const Truth kTruth = {.box = {0, 0, 10, 10}, .category = 0};
constexpr Box kWell = {0, 0, 10, 10}, kBadly = {0, 0, 10, 4}, kNowhere = {100, 100, 10, 10};

/// What a single detection counts where `kTruth` is all there is.
DetectionErrors Of(const Box& box, int32_t category) {
  return CountDetectionErrors(std::vector{kTruth}, std::vector<Detection>{{box, category, 0.5}});
}

TEST(DetectionErrors, CountsAreTides) {
  size_t compared = 0;
  for (const DetectionCase& golden : ReadDetectionCases()) {
    if (!golden.expected.contains("errors")) continue;
    DetectionErrors errors;
    for (size_t image = 0; image < golden.truths.size(); ++image)
      errors += CountDetectionErrors(golden.truths[image], golden.detections[image]);
    const std::vector<int64_t> counts = {errors.right, errors.ignored,   errors.classification, errors.localisation,
                                         errors.both,  errors.duplicate, errors.background,     errors.missed};
    EXPECT_EQ(nlohmann::json(counts), golden.expected["errors"]);
    ++compared;
  }
  EXPECT_GT(compared, 3);
}

TEST(DetectionErrors, EachKindIsTold) {
  EXPECT_EQ(Of(kWell, 0), (DetectionErrors{.right = 1}));
  EXPECT_EQ(Of(kBadly, 0), (DetectionErrors{.localisation = 1})) << "and so the truth isn't missed";
  EXPECT_EQ(Of(kWell, 1), (DetectionErrors{.classification = 1}));
  EXPECT_EQ(Of(kBadly, 1), (DetectionErrors{.both = 1, .missed = 1}));
  EXPECT_EQ(Of(kNowhere, 0), (DetectionErrors{.background = 1, .missed = 1}));
  EXPECT_EQ(CountDetectionErrors(std::vector{kTruth}, {}), (DetectionErrors{.missed = 1}));
}

TEST(DetectionErrors, AnOverlapOfHalfIsRightAndOneOfATenthIsSomething) {
  EXPECT_EQ(Of({0, 0, 10, 5}, 0), (DetectionErrors{.right = 1}));
  EXPECT_EQ(Of({0, 0, 10, 1}, 0), (DetectionErrors{.localisation = 1}));
  EXPECT_EQ(Of({0, 0, 10, 0.99}, 0), (DetectionErrors{.background = 1, .missed = 1}));
}

TEST(DetectionErrors, ASecondDetectionIsADuplicate) {
  const std::vector<Detection> detections = {{kWell, 0, 0.2}, {kWell, 0, 0.7}, {kBadly, 0, 0.9}};
  EXPECT_EQ(CountDetectionErrors(std::vector{kTruth}, detections),
            (DetectionErrors{.right = 1, .localisation = 1, .duplicate = 1}));
}

TEST(DetectionErrors, WhatLiesInACrowdIsIgnored) {
  const std::vector<Truth> truths = {{.box = {100, 100, 50, 50}, .crowd = true}, kTruth};
  const std::vector<Detection> detections = {{kNowhere, 0, 0.9}, {kNowhere, 1, 0.9}};
  EXPECT_EQ(CountDetectionErrors(truths, detections), (DetectionErrors{.ignored = 1, .background = 1, .missed = 1}));
}

}  // namespace
}  // namespace lockstep::metrics
