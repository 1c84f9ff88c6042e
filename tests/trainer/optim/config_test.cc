#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::optim {
namespace {

OptimizerConfig Parse(const std::string& text) {
  OptimizerConfig config;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), "{}", text);
  return config;
}

struct BadConfig {
  const char* text;
  const char* message;
};

class BadOptimizer : public testing::TestWithParam<BadConfig> {};

TEST_P(BadOptimizer, IsAUsageErrorThatNamesTheField) {
  try {
    Validate(Parse(GetParam().text));
    FAIL() << "accepted: " << GetParam().text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), testing::StartsWith(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadOptimizer,
    testing::Values(
        BadConfig{"learning_rate: 0.1", "optimizer: no rule is set"},
        BadConfig{"sgd {}", "optimizer.learning_rate: is required"},
        BadConfig{"sgd {} learning_rate: inf", "optimizer.learning_rate: inf is not"},
        BadConfig{"sgd {} learning_rate: nan", "optimizer.learning_rate: nan is not"},
        BadConfig{"sgd { momentum: 1.5 } learning_rate: 0.1", "optimizer.sgd.momentum: 1.5 is not in [0, 1)"},
        BadConfig{"sgd { nesterov: true } learning_rate: 0.1", "optimizer.sgd.nesterov: "},
        BadConfig{"adam { beta1: 1 } learning_rate: 0.1", "optimizer.adam.beta1: 1 is not in [0, 1)"},
        BadConfig{"adamw { beta2: -0.1 } learning_rate: 0.1", "optimizer.adamw.beta2: -0.1 is not in [0, 1)"},
        BadConfig{"adamw { epsilon: 0 } learning_rate: 0.1", "optimizer.adamw.epsilon: 0 is not a number > 0"},
        BadConfig{"adamw { epsilon: 1e-60 } learning_rate: 0.1", "optimizer.adamw.epsilon: 1e-60 is 0"},
        BadConfig{"sgd {} learning_rate: 0.1 weight_decay: -1", "optimizer.weight_decay: -1 is not a number >= 0"},
        BadConfig{"sgd {} learning_rate: 0.1 clip_norm: -1", "optimizer.clip_norm: -1 is not a number >= 0"},
        BadConfig{"sgd {} learning_rate: 0.1 ema_decay: 1", "optimizer.ema_decay: 1 is not in [0, 1)"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { warmup_fraction: 1 }", "optimizer.schedule.warmup_fraction: 1"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { warmup_fraction: 0.1 warmup_steps: 3 }",
                  "optimizer.schedule: warmup_steps and warmup_fraction"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { step {} }", "optimizer.schedule.step: neither every_steps"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { step { every_steps: 1 every_epochs: 1 } }",
                  "optimizer.schedule.step: every_steps and every_epochs"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { step { every_epochs: -1 } }",
                  "optimizer.schedule.step.every_epochs: -1"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { step { every_steps: 1 factor: 0 } }",
                  "optimizer.schedule.step.factor: 0 is not in (0, 1]"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { cosine { final_factor: 2 } }",
                  "optimizer.schedule.cosine.final_factor: 2 is not in [0, 1]"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { one_cycle { div: 0.5 } }",
                  "optimizer.schedule.one_cycle.div: 0.5"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { one_cycle { final_div: 0 } }",
                  "optimizer.schedule.one_cycle.final_div: 0"},
        BadConfig{"sgd {} learning_rate: 0.1 schedule { one_cycle { rise: 1 } }",
                  "optimizer.schedule.one_cycle.rise: 1 is not in (0, 1)"},
        BadConfig{"sgd {} learning_rate: 0.1 groups { pattern: 'a' thaw_at_step: 3 }",
                  "optimizer.groups[0].thaw_at_step: the group is not frozen"},
        BadConfig{"sgd {} learning_rate: 0.1 groups { pattern: 'a' frozen_statistics: true }",
                  "optimizer.groups[0].frozen_statistics: the group is not frozen"},
        BadConfig{"sgd {} learning_rate: 0.1 groups { frozen: true }", "optimizer.groups[0].pattern: is required"},
        BadConfig{"sgd {} learning_rate: 0.1 groups { pattern: 'a' } groups { pattern: 'b' rate_factor: -1 }",
                  "optimizer.groups[1].rate_factor: -1"},
        BadConfig{"sgd {} learning_rate: 0.1 groups { pattern: 'a' weight_decay: -1 }",
                  "optimizer.groups[0].weight_decay: -1"}));

TEST(Validate, AcceptsWhatRecipesUse) {
  Validate(Parse("adamw {} learning_rate: 3e-3 weight_decay: 0.01 schedule { warmup_fraction: 0.2 cosine {} }"));
  Validate(
      Parse("sgd { momentum: 0.9 nesterov: true } learning_rate: 0.2 clip_norm: 1 ema_decay: 0.999 "
            "schedule { warmup_steps: 10 step { every_epochs: 0.5 } } groups { pattern: '*' rate_factor: 0 }"));
}

TEST(SegmentFor, WithoutGroupsOnlyMatricesAndKernelsDecay) {
  const OptimizerConfig config = Parse("sgd {} learning_rate: 0.1 weight_decay: 0.25");
  const Segment weight = SegmentFor(config, "conv1.weight", true, 16, 32);
  EXPECT_EQ(weight.begin, 16);
  EXPECT_EQ(weight.end, 32);
  EXPECT_EQ(weight.weight_decay, 0.25f);
  EXPECT_EQ(weight.rate_factor, 1);
  EXPECT_FALSE(weight.frozen);
  EXPECT_LT(weight.statistic_momentum, 0);
  EXPECT_EQ(SegmentFor(config, "conv1.bias", false, 0, 1).weight_decay, 0);
}

TEST(SegmentFor, TheFirstGroupWhosePatternMatchesDecides) {
  const OptimizerConfig config = Parse(R"(
    sgd {} learning_rate: 0.1 weight_decay: 0.25
    groups { pattern: "layer1.*" rate_factor: 0.5 weight_decay: 0 }
    groups { pattern: "layer[12].*.bias" frozen: true }
    groups { pattern: "fc?.weight" weight_decay: 0.125 })");
  const Segment first = SegmentFor(config, "layer1.0.bias", true, 0, 1);
  EXPECT_EQ(first.rate_factor, 0.5f);
  EXPECT_EQ(first.weight_decay, 0);
  EXPECT_FALSE(first.frozen);
  EXPECT_TRUE(SegmentFor(config, "layer2.0.bias", false, 0, 1).frozen);
  EXPECT_EQ(SegmentFor(config, "fc1.weight", true, 0, 1).weight_decay, 0.125f);
  EXPECT_EQ(SegmentFor(config, "fc.weight", true, 0, 1).weight_decay, 0.25f);
}

TEST(SegmentFor, FrozenParametersThawAndStatisticsFollowWhereTheGroupSaysSo) {
  const OptimizerConfig config = Parse(R"(
    sgd {} learning_rate: 0.1
    groups { pattern: "a.*" frozen: true thaw_at_step: 7 frozen_statistics: true }
    groups { pattern: "b.*" frozen: true thaw_at_step: 4 }
    groups { pattern: "c.*" frozen: true }
    groups { pattern: "d.*" frozen: true thaw_at_step: 7 })");
  EXPECT_EQ(ThawSteps(config), (std::vector<uint64_t>{4, 7}));
  const Segment a = SegmentFor(config, "a.weight", true, 0, 1), c = SegmentFor(config, "c.weight", true, 0, 1);
  EXPECT_TRUE(a.FrozenAt(6));
  EXPECT_FALSE(a.FrozenAt(7));
  EXPECT_TRUE(c.FrozenAt(1000));
  EXPECT_FALSE(SegmentFor(config, "e.weight", true, 0, 1).FrozenAt(0));
  const Segment mean = StatisticSegment(config, "a.running_mean", 0.1f, 0, 1);
  EXPECT_EQ(mean.statistic_momentum, 0.1f);
  EXPECT_TRUE(mean.FrozenAt(6));
  EXPECT_FALSE(mean.FrozenAt(7));
  EXPECT_FALSE(StatisticSegment(config, "b.running_mean", 0.1f, 0, 1).FrozenAt(0));
}

}  // namespace
}  // namespace lockstep::optim
