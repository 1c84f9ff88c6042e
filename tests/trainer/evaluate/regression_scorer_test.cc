// What blocks add up to is what metrics::MeasureRegression says of all answers at once, in the targets' own unit.
#include "trainer/metrics/regression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "base/bfloat16.h"
#include "trainer/evaluate/scorer.h"

namespace lockstep::evaluate {
namespace {

class Values final : public data::Dataset {
 public:
  Values(std::vector<float> values, size_t targets)
      : values_(std::move(values)),
        targets_(targets),
        fields_{{"features", DType::kF32, Shape{1}}, {"target", DType::kF32, Shape{static_cast<int64_t>(targets)}}} {}
  uint64_t size() const override { return values_.size() / targets_; }
  std::span<const data::Field> fields() const override { return fields_; }
  uint64_t fingerprint() const override { return 0; }
  void Read(uint64_t, uint64_t id, data::Sample& sample) const override {
    sample.tensors.resize(2);
    sample.tensors[1].Assign(std::span(values_).subspan(id * targets_, targets_));
  }

 private:
  const std::vector<float> values_;
  const size_t targets_;
  const std::vector<data::Field> fields_;
};

/// Samples [first, first + count), in a block of `rows`.
data::LaneBatch Block(uint64_t first, uint64_t count, int64_t rows) {
  data::LaneBatch block;
  for (uint64_t i = 0; i < count; ++i) block.samples.picks.push_back({0, first + i});
  block.fields = {data::Field{"features", DType::kF32, Shape{rows, 1}}};
  return block;
}

/// Scores `outputs` [samples, targets] in blocks of four rows, and adds the blocks.
template <typename T>
std::map<std::string, double> ScoreAll(Scorer& scorer, const std::vector<T>& outputs, size_t targets) {
  constexpr size_t kRows = 4;
  Scores all;
  const size_t samples = outputs.size() / targets;
  for (size_t first = 0; first < samples; first += kRows) {
    const size_t count = std::min(kRows, samples - first);
    std::vector<T> rows(kRows * targets, T{});  // the last ones of the last block stand for no sample
    std::copy_n(outputs.begin() + static_cast<ptrdiff_t>(first * targets), count * targets, rows.begin());
    Scores block;
    scorer.Score(
        0, Block(first, count, kRows), [&](const std::string&) { return std::as_bytes(std::span(rows)); }, block);
    all.Add(block);
  }
  std::map<std::string, double> result;
  for (const metrics::Metric& metric : scorer.Result(all)) result[metric.name] = metric.value;
  return result;
}

/// 10 samples of two targets, and answers to them, in units of their own.
struct World {
  std::vector<float> expected, outputs;
  infer::AnswerForm form{.classes = false, .mean = {100, -2000}, .deviation = {10, 0.5}};
  World() {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < 20; ++i) {
      const float output = normal(random);
      outputs.push_back(output);
      expected.push_back(form.Value(output + 0.3f * normal(random), i % 2));
    }
  }
  metrics::Regression Expected() const {
    std::vector<double> predicted;
    for (size_t i = 0; i < outputs.size(); ++i) predicted.push_back(form.Value(outputs[i], i % 2));
    return metrics::MeasureRegression(predicted, std::vector<double>(expected.begin(), expected.end()), 2);
  }
};

TEST(RegressionScorer, BlocksAddUpToTheMeasuresOfAllAnswers) {
  const World world;
  const auto scorer = MakeRegressionScorer(std::make_shared<Values>(world.expected, 2), world.form);
  const auto result = ScoreAll(*scorer, world.outputs, 2);
  const metrics::RegressionNumbers expected = world.Expected().mean;
  ASSERT_GT(expected.r2, 0.5);
  EXPECT_NEAR(result.at("mae"), expected.mae, 1e-12 * expected.mae);
  EXPECT_NEAR(result.at("r2"), expected.r2, 1e-12);
}

TEST(RegressionScorer, OutputsMayHaveHalfTheBits) {
  World world;
  std::vector<BFloat16> outputs;
  for (float& output : world.outputs) {
    outputs.push_back(BFloat16::From(output));
    output = outputs.back().Float();
  }
  const auto scorer = MakeRegressionScorer(std::make_shared<Values>(world.expected, 2), world.form);
  EXPECT_NEAR(ScoreAll(*scorer, outputs, 2).at("r2"), world.Expected().mean.r2, 1e-12);
}

TEST(RegressionScorer, ATargetThatDoesNotVaryIsExplainedWhollyOrNotAtAll) {
  const std::vector<float> expected = {0.1f, 1, 0.1f, 2, 0.1f, 4}, outputs = {0.1f, 1, 0.1f, 2, 0.1f, 3};
  const auto scorer = MakeRegressionScorer(std::make_shared<Values>(expected, 2), {.classes = false});
  const double other = 1 - 1 / (std::pow(4 / 3.0, 2) + std::pow(1 / 3.0, 2) + std::pow(5 / 3.0, 2));
  EXPECT_NEAR(ScoreAll(*scorer, outputs, 2).at("r2"), (1 + other) / 2, 1e-12);
  std::vector<float> inexact = outputs;
  inexact[2] = 0.2f;
  EXPECT_NEAR(ScoreAll(*scorer, inexact, 2).at("r2"), other / 2, 1e-12);
}

TEST(RegressionScorer, OneSampleHasNoR2AndNoNumberMakesNone) {
  const auto one = MakeRegressionScorer(std::make_shared<Values>(std::vector<float>{3}, 1), {.classes = false});
  const auto result = ScoreAll(*one, std::vector<float>{1}, 1);
  EXPECT_EQ(result.at("mae"), 2);
  EXPECT_EQ(result.count("r2"), 0);
  const auto two = MakeRegressionScorer(std::make_shared<Values>(std::vector<float>{3, 4}, 1), {.classes = false});
  EXPECT_TRUE(std::isnan(ScoreAll(*two, std::vector<float>{3, std::nanf("")}, 1).at("r2")));
}

}  // namespace
}  // namespace lockstep::evaluate
