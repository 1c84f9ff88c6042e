#include "trainer/optim/schedule.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace lockstep::optim {
namespace {

Schedule Parse(const std::string& text) {
  Schedule schedule;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &schedule), "{}", text);
  return schedule;
}

double Factor(const std::string& text, const RunLength& length, uint64_t step) {
  return ScheduleFactor(Parse(text), length, step);
}

TEST(Schedule, IsConstantByDefault) {
  EXPECT_EQ(Factor("", {100, 10}, 0), 1);
  EXPECT_EQ(Factor("constant {}", {100, 10}, 99), 1);
}

TEST(Schedule, WarmupRisesInAStraightLineThatWouldBeZeroBeforeTheFirstStep) {
  const RunLength length{100, 10};
  EXPECT_DOUBLE_EQ(Factor("warmup_steps: 4", length, 0), 0.2);
  EXPECT_DOUBLE_EQ(Factor("warmup_steps: 4", length, 3), 0.8);
  EXPECT_EQ(Factor("warmup_steps: 4", length, 4), 1);
  // A fraction that is no whole number of steps: 2.5 of 100.
  EXPECT_DOUBLE_EQ(Factor("warmup_fraction: 0.025", length, 2), 3 / 3.5);
  EXPECT_EQ(Factor("warmup_fraction: 0.025", length, 3), 1);
}

TEST(Schedule, WarmupAndCosineEqualTheReferenceRecipes) {
  // Transcribed from the formula that the PyTorch reference recipes use.
  auto reference = [](double step, double total) {
    const double warm = 0.2 * total;
    return step < warm ? (step + 1) / (warm + 1) : 0.5 * (1 + std::cos(M_PI * (step - warm) / (total - warm)));
  };
  for (uint64_t step = 0; step < 1347; ++step) {
    EXPECT_NEAR(Factor("warmup_fraction: 0.2 cosine {}", {1347, 44.9}, step), reference(step, 1347), 1e-15) << step;
  }
}

TEST(Schedule, CosineEndsAtItsFinalFactorAndStaysThere) {
  const RunLength length{100, 10};
  EXPECT_EQ(Factor("cosine { final_factor: 0.25 }", length, 0), 1);
  EXPECT_DOUBLE_EQ(Factor("cosine { final_factor: 0.25 }", length, 50), 0.625);
  EXPECT_DOUBLE_EQ(Factor("cosine { final_factor: 0.25 }", length, 100), 0.25);
  EXPECT_DOUBLE_EQ(Factor("cosine { final_factor: 0.25 }", length, 150), 0.25);
}

TEST(Schedule, StepDecayCountsFromTheEndOfTheWarmup) {
  const RunLength length{1000, 10};
  EXPECT_EQ(Factor("step { every_steps: 30 }", length, 29), 1);
  EXPECT_DOUBLE_EQ(Factor("step { every_steps: 30 }", length, 30), 0.1);
  EXPECT_DOUBLE_EQ(Factor("step { every_steps: 30 factor: 0.5 }", length, 90), 0.125);
  EXPECT_EQ(Factor("warmup_steps: 5 step { every_steps: 30 }", length, 34), 1);
  EXPECT_DOUBLE_EQ(Factor("warmup_steps: 5 step { every_steps: 30 }", length, 35), 0.1);
  EXPECT_EQ(Factor("step { every_epochs: 2.5 factor: 0.5 }", length, 24), 1);
  EXPECT_EQ(Factor("step { every_epochs: 2.5 factor: 0.5 }", length, 25), 0.5);
}

TEST(Schedule, OneCycleHasPyTorchsValues) {
  // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10, pct_start=0.3, div_factor=25, final_div_factor=1e4):
  // 0.04 at 0, the peak at step 2, 4e-6 at step 9; in between, halves of a cosine.
  const RunLength length{10, 5};
  const std::pair<uint64_t, double> defaults[] = {
      {0, 0.04}, {1, 0.52}, {2, 1}, {3, 0.9504846320134737}, {8, 0.049519367986526286}, {9, 4e-6}};
  for (const auto& [step, expected] : defaults) EXPECT_NEAR(Factor("one_cycle {}", length, step), expected, 1e-14);
  const std::pair<uint64_t, double> others[] = {{0, 0.5}, {2, 0.75}, {4, 1}, {9, 0.1}};
  for (const auto& [step, expected] : others) {
    EXPECT_NEAR(Factor("one_cycle { div: 2 final_div: 5 rise: 0.5 }", length, step), expected, 1e-14);
  }
}

TEST(Schedule, RunsOfAFewStepsHaveFiniteRates) {
  for (const char* text : {"cosine {}", "one_cycle {}", "one_cycle { rise: 0.5 }", "warmup_steps: 5 cosine {}",
                           "warmup_steps: 5 one_cycle {}", "step { every_epochs: 1 }"}) {
    for (uint64_t total = 0; total < 8; ++total) {
      for (uint64_t step = 0; step <= total; ++step) {
        const double factor = Factor(text, {total, 0}, step);
        EXPECT_TRUE(factor >= 0 && factor <= 1) << text << " " << step << " of " << total << ": " << factor;
      }
    }
  }
}

TEST(Schedule, IsExtendableWhereALongerRunRepeatsTheRates) {
  for (const char* text : {"", "constant {}", "step { every_steps: 7 }", "warmup_steps: 5 step { every_epochs: 1 }",
                           "cosine {}", "one_cycle {}", "warmup_fraction: 0.1",
                           "warmup_fraction: 0.1 step { every_steps: 7 }", "warmup_steps: 5 cosine {}"}) {
    bool repeats = true;
    for (uint64_t step = 0; step < 100; ++step) {
      repeats = repeats && Factor(text, {100, 12.5}, step) == Factor(text, {150, 12.5}, step);
    }
    EXPECT_EQ(IsExtendable(Parse(text)), repeats) << text;
  }
}

}  // namespace
}  // namespace lockstep::optim
