#include "launch/scale/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "launch/scale/study_folder.h"

namespace lockstep::launch {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

Recipe SomeRecipe() {
  Recipe recipe;
  recipe.mutable_train()->set_global_batch(32);
  recipe.mutable_train()->set_lanes(4);
  recipe.mutable_optimizer()->set_learning_rate(0.1);
  return recipe;
}

std::string ErrorOf(const std::function<void()>& body) {
  try {
    body();
    return "";
  } catch (const Error& error) {
    return error.where() + ": " + error.message();
  }
}

std::vector<std::string> NamesOf(const std::vector<StudyPoint>& points) {
  std::vector<std::string> names;
  for (const StudyPoint& point : points) names.push_back(point.name);
  return names;
}

TEST(Study, ListsAndVariedFieldsAreRead) {
  EXPECT_THAT(ParseCounts("8,1,2-4,2", "--ranks"), ElementsAre(1, 2, 3, 4, 8));
  EXPECT_THAT(ErrorOf([] { ParseCounts("1,x", "--ranks"); }), HasSubstr("--ranks: 'x' is no whole number"));
  EXPECT_THAT(ErrorOf([] { ParseCounts("0", "--ranks"); }), HasSubstr("'0'"));
  const Varied varied = ParseVaried("model.mlp.hidden=[8,8],[16]");
  EXPECT_EQ(varied.field, "model.mlp.hidden");
  EXPECT_THAT(varied.values, ElementsAre("[8,8]", "[16]"));
  EXPECT_THAT(ParseVaried("name=\"a,b\",c").values, ElementsAre("\"a,b\"", "c"));
  EXPECT_THAT(ErrorOf([] { ParseVaried("x"); }), HasSubstr("--vary"));
  EXPECT_THAT(ErrorOf([] { ParseVaried("x=1,,2"); }), HasSubstr("empty value"));
}

TEST(Study, AStrongOneHasATwinAndBases) {
  const StudyRequest request{.ranks = {1, 2, 4}, .base_lanes = {2, 4}};
  const std::vector<StudyPoint> points = PointsOf(request, SomeRecipe());
  EXPECT_THAT(NamesOf(points), ElementsAre("r1", "r2", "r4", "twin", "base-lanes2"));
  EXPECT_TRUE(points[0].settings.empty());
  EXPECT_EQ(points[3].ranks, 1);
  EXPECT_EQ(points[3].role, StudyPoint::Role::kTwin);
  EXPECT_THAT(points[4].settings, ElementsAre("train.lanes=2"));
  EXPECT_THAT(ErrorOf([] { PointsOf({.ranks = {8}}, SomeRecipe()); }),
              HasSubstr("8 ranks are more than the recipe's 4"));
}

TEST(Study, AWeakOneGrowsLanesAndBatch) {
  const StudyRequest request{.mode = StudyMode::kWeak, .ranks = {1, 3}, .rate = RateRule::kLinear};
  const std::vector<StudyPoint> points = PointsOf(request, SomeRecipe());
  EXPECT_EQ(points[1].global_batch, 96u);
  EXPECT_THAT(points[1].settings,
              ElementsAre("train.global_batch=96", HasSubstr("optimizer.learning_rate=0.3"), "train.lanes=12"));
  EXPECT_THAT(points[0].settings, ElementsAre("train.global_batch=32", "train.lanes=4"));
}

TEST(Study, ThroughputNeedsBatchesThatLanesDivide) {
  StudyRequest request{.mode = StudyMode::kThroughput, .ranks = {2}, .batches = {32, 64}};
  EXPECT_THAT(NamesOf(PointsOf(request, SomeRecipe())), ElementsAre("b32", "b64", "twin"));
  request.batches = {30};
  EXPECT_THAT(ErrorOf([&] { PointsOf(request, SomeRecipe()); }), HasSubstr("a batch of 30 can't be cut into 4 lanes"));
  request.batches.clear();
  EXPECT_THAT(ErrorOf([&] { PointsOf(request, SomeRecipe()); }), HasSubstr("--batches"));
}

TEST(Study, PeersAndVariedPointsAreNamed) {
  StudyRequest request{.ranks = {1, 2},
                       .varied = {{"train.seed", {"1", "2"}}},
                       .against = "peer -n {ranks} -t {executors} --batch {batch}",
                       .executors = 3};
  const std::vector<StudyPoint> points = PointsOf(request, SomeRecipe());
  EXPECT_THAT(NamesOf(points), ElementsAre("r1-seed_1", "r2-seed_1", "r1-seed_2", "r2-seed_2", "twin", "peer-r1-seed_1",
                                           "peer-r2-seed_1"));
  EXPECT_EQ(points[6].command, "peer -n 2 -t 3 --batch 32");
  EXPECT_EQ(points[3].variant, "train.seed=2");
}

TEST(Study, EachRoundHasEveryPointOnceInAnOrderOfItsOwn) {
  const std::vector<StudyRun> order = OrderOf(6, 4, 9);
  ASSERT_EQ(order.size(), 24u);
  std::set<std::vector<size_t>> orders;
  for (int repeat = 0; repeat < 4; ++repeat) {
    std::vector<size_t> points;
    for (size_t i = 0; i < 6; ++i) {
      const StudyRun& run = order[static_cast<size_t>(repeat) * 6 + i];
      EXPECT_EQ(run.repeat, repeat);
      points.push_back(run.point);
    }
    EXPECT_EQ(std::set<size_t>(points.begin(), points.end()).size(), 6u);
    orders.insert(points);
  }
  EXPECT_GT(orders.size(), 2u);
  EXPECT_EQ(order, OrderOf(6, 4, 9));
  EXPECT_NE(order, OrderOf(6, 4, 10));
}

TEST(StudyFolder, FactsAndResultsAreReadAsTheyWereWritten) {
  StudyFacts facts{.recipe = "/r", .settings = {"a=b"}, .name = "n", .command = "c", .build = "b", .host = "h"};
  facts.request = {.mode = StudyMode::kWeak,
                   .ranks = {1, 2},
                   .rate = RateRule::kSquareRoot,
                   .varied = {{"f", {"1"}}},
                   .base_lanes = {2},
                   .repeats = 7,
                   .steps = 50,
                   .seed = 3};
  facts.points = PointsOf(facts.request, SomeRecipe());
  facts.obstacles = {{"what", "remedy"}};
  facts.limits["matrix_gflops"] = 12.5;
  const StudyFacts read = ParseFacts(FormatFacts(facts), "x");
  EXPECT_EQ(read.points, facts.points);
  EXPECT_EQ(read.request.repeats, 7);
  EXPECT_EQ(read.request.rate, RateRule::kSquareRoot);
  EXPECT_EQ(read.request.varied[0].values, facts.request.varied[0].values);
  EXPECT_EQ(read.obstacles[0].remedy, "remedy");
  EXPECT_EQ(read.limits, facts.limits);
  EXPECT_THAT(ErrorOf([] { ParseFacts("{}", "folder"); }), HasSubstr("folder: it is no study"));

  RunResult result{
      .point = "r1", .repeat = 2, .weights = "ab", .seconds_per_step = 0.5, .samples_per_s = 64, .steps = 9};
  result.ranks.push_back({"h", {{"data", 0.25}}, 0.75, 4, 10});
  const RunResult failed{.point = "r2", .exit_code = 6, .reason = "said \"no\""};
  const std::vector<RunResult> results =
      ParseResults(FormatResult(result) + "torn {\n" + FormatResult(failed) + "{\"x\":1}\n");
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(results[0].good());
  EXPECT_EQ(results[0].ranks[0].phases.at("data"), 0.25);
  EXPECT_FALSE(results[1].good());
  EXPECT_EQ(results[1].reason, failed.reason);
}

}  // namespace
}  // namespace lockstep::launch
