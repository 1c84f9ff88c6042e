#include "launch/report/metric_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lockstep::launch {
namespace {

using testing::ElementsAre;

TEST(MetricRows, AreCurvesOfTrainingAndOfSplits) {
  const MetricRows rows = ParseMetricRows(
      R"({"step":10,"epoch":0.5,"loss":2,"learning_rate":0.1,"data_seconds":0.5,"attempt":1,"time":100}
{"step":20,"epoch":1,"loss":1,"learning_rate":0.2,"attempt":1,"time":101}
{"step":20,"epoch":1,"split":"test","loss":1.5,"wer":0.25,"evaluation_seconds":0.5,"attempt":1,"time":102}
)");
  EXPECT_THAT(rows.training.at("loss"), ElementsAre(Point{10, 2}, Point{20, 1}));
  EXPECT_THAT(rows.training.at("learning_rate"), ElementsAre(Point{10, 0.1}, Point{20, 0.2}));
  EXPECT_THAT(rows.evaluated.at("test").at("wer"), ElementsAre(Point{20, 0.25}));
  EXPECT_EQ(rows.training.count("time") + rows.training.count("step") + rows.training.count("epoch"), 0u);
  EXPECT_EQ(rows.steps_per_epoch, 20);
  EXPECT_THAT(MeasuresOf(rows), ElementsAre("loss", "wer"));
  EXPECT_EQ(rows.times.size(), 3u);
  EXPECT_TRUE(rows.times[2].evaluation);
  EXPECT_EQ(rows.unreadable, 0u);
}

TEST(MetricRows, WhatIsDamagedIsCountedAndATornEndIsNot) {
  const MetricRows rows = ParseMetricRows(
      "{\"step\":1,\"loss\":2}\n\n{\"st\xFFp\nnull\n[1]\n{\"loss\":2}\n{\"step\":-4}\n"
      "{\"step\":\"2\",\"loss\":1}\n{\"step\":3,\"loss\":1}\r\n{\"step\":4,\"lo");
  EXPECT_EQ(rows.unreadable, 6u);
  EXPECT_THAT(rows.training.at("loss"), ElementsAre(Point{1, 2}, Point{3, 1}));
}

TEST(MetricRows, NumbersThatAreNoneAreGapsAndCounted) {
  const MetricRows rows =
      ParseMetricRows("{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":null}\n{\"step\":3,\"loss\":1e999}\n");
  EXPECT_TRUE(std::isnan(rows.training.at("loss")[1].y));
  EXPECT_GE(rows.not_finite, 1u);
  EXPECT_EQ(rows.first_not_finite, 2);
}

TEST(MetricRows, AResumeThatWentBackReplacesRows) {
  const MetricRows rows = ParseMetricRows(
      "{\"step\":10,\"loss\":3}\n{\"step\":20,\"loss\":2}\n{\"step\":30,\"loss\":1}\n{\"step\":20,\"loss\":2.5}\n");
  EXPECT_THAT(rows.training.at("loss"), ElementsAre(Point{10, 3}, Point{20, 2.5}));
}

TEST(MetricRows, OfNothingAreNone) {
  const MetricRows rows = ParseMetricRows("");
  EXPECT_TRUE(rows.times.empty());
  EXPECT_TRUE(rows.evaluated.empty());
}

}  // namespace
}  // namespace lockstep::launch
