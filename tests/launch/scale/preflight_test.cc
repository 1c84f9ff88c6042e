#include "launch/scale/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/scale/measure_run.h"

namespace lockstep::launch {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

/// Eight idle cores.
MachineView Quiet() {
  MachineView view;
  view.cores.machine = 8;
  for (int core = 0; core < 8; ++core) view.cores.allowed.push_back(core);
  view.cores.usable = 8;
  view.governors = {"performance"};
  return view;
}

auto Says(const std::string& text) { return Contains(Field(&Obstacle::what, HasSubstr(text))); }

TEST(Preflight, AQuietMachinePasses) { EXPECT_THAT(ObstaclesOf(Quiet(), 8, 1), IsEmpty()); }

TEST(Preflight, SharedCoresAndBindingsAreNamed) {
  EXPECT_THAT(ObstaclesOf(Quiet(), 9, 1), Says("9 threads on 8 cores"));
  EXPECT_THAT(ObstaclesOf(Quiet(), 4, 3), Says("12 threads on 8 cores"));
  MachineView bound = Quiet();
  bound.cores.allowed = {0};
  bound.cores.usable = 1;
  EXPECT_THAT(ObstaclesOf(bound, 4, 1), Says("bound to 1 of 8 cores, and 4 are asked for"));
  EXPECT_THAT(ObstaclesOf(bound, 1, 1), IsEmpty());
}

TEST(Preflight, QuotasGovernorsAndOthersAreNamed) {
  MachineView view = Quiet();
  view.cores.quota = 3;
  view.cores.usable = 3;
  EXPECT_THAT(ObstaclesOf(view, 2, 1), Says("allows 3 cores' time on 8 cores"));
  view = Quiet();
  view.governors = {"ondemand", "performance"};
  EXPECT_THAT(ObstaclesOf(view, 2, 1), Says("governor ondemand"));
  view = Quiet();
  view.busy_cores = 1.2;
  EXPECT_THAT(ObstaclesOf(view, 4, 1), Says("others compute on 1.2 of these cores"));
}

TEST(Preflight, WhatHappensInBetweenIsNamed) {
  MachineView before = Quiet(), after = Quiet();
  EXPECT_THAT(ObstaclesBetween(before, after), IsEmpty());
  after.throttled = 7;
  after.hot = 2;
  EXPECT_THAT(ObstaclesBetween(before, after), Says("held back in 7 periods"));
  EXPECT_THAT(ObstaclesBetween(before, after), Says("slowed 2 times"));
}

TEST(Peers, TheLastPrintedRateCounts) {
  EXPECT_EQ(PrintedRate("mlp f32 world=2 median 3.2 ms/step -> 10234 items/s peak 300 MiB\n"), 10234);
  EXPECT_EQ(PrintedRate("5 samples/s\nthen samples_per_s=812.5\n"), 812.5);
  EXPECT_EQ(PrintedRate("1.5e3 tokens/s"), 1500);
  EXPECT_EQ(PrintedRate("nothing"), 0);
}

TEST(Targets, AreMeasuresWithAValue) {
  EXPECT_EQ(ParseTarget("accuracy=0.97").measure, "accuracy");
  EXPECT_FALSE(ParseTarget("accuracy=0.97").falls);
  EXPECT_TRUE(ParseTarget("loss=0.5").falls);
  EXPECT_ANY_THROW(ParseTarget("loss"));
  EXPECT_ANY_THROW(ParseTarget("loss=low"));
}

}  // namespace
}  // namespace lockstep::launch
