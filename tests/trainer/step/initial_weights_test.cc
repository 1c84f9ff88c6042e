// Initial weights: their distribution, and that they follow from the seed and the parameter's place alone.
#include "trainer/step/initial_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace lockstep::step {
namespace {

constexpr float kDeviation = 0.0883883476f;  // He et al. 2015: sqrt(2 / fan in), for 256

graph::Model TwoEqualLayers(graph::Mode mode = graph::Mode::kTrain, int64_t batch = 4) {
  graph::Builder builder(mode, batch);
  graph::ValueId x = builder.Input("features", {256}, DType::kF32);
  x = builder.Linear(x, "a", 256, true, {0, kDeviation});
  x = builder.BatchNorm(x, "norm", 1e-5f, 0.1f, 1);
  x = builder.Linear(x, "b", 256, true, {0, kDeviation});
  x = builder.Linear(x, "last", 10, true, {0.5f, 0});
  builder.SoftmaxCrossEntropy(x, 0);
  const std::vector<graph::ParameterInfo> infos = builder.parameter_infos();
  return {builder.Finish(), infos};
}

class InitializeTest : public testing::Test {
 protected:
  std::vector<float> Weights(uint64_t seed) const {
    std::vector<float> weights(static_cast<size_t>(layout_.elements()), 7.0f);
    InitializeWeights(model_, layout_, seed, weights);
    return weights;
  }
  std::span<const float> Of(const std::vector<float>& weights, const std::string& name) const {
    const engine::ArenaEntry* entry = layout_.Find(name);
    EXPECT_NE(entry, nullptr) << name;
    return std::span(weights).subspan(static_cast<size_t>(entry->offset), static_cast<size_t>(entry->size()));
  }

  graph::Model model_ = TwoEqualLayers();
  engine::ParameterLayout layout_{model_.graph};
};

TEST_F(InitializeTest, WeightsAreNormalWithHesDeviation) {
  const std::vector<float> weights = Weights(1);
  for (const std::string name : {"a.weight", "b.weight"}) {
    const std::span<const float> values = Of(weights, name);
    double sum = 0, squares = 0, fourth = 0, neighbours = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double z = values[i] / kDeviation;
      sum += z;
      squares += z * z;
      fourth += z * z * z * z;
      if (i > 0) neighbours += z * values[i - 1] / kDeviation;
    }
    // Five standard errors of 65,536 standard normal numbers.
    const auto n = static_cast<double>(values.size());
    EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n)) << name;
    EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2 / n)) << name;
    EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n)) << name;
    EXPECT_NEAR(neighbours / n, 0, 5 / std::sqrt(n)) << name;
  }
}

TEST(InitializeUniformTest, WeightsAreUniformInTheirHalfWidth) {
  graph::Builder builder(graph::Mode::kTrain, 4);
  const graph::ValueId x = builder.Input("features", {7, 100}, DType::kF32);
  builder.SoftmaxCrossEntropy(builder.Lstm(x, "rnn", {64, graph::kNoValue}), 0);
  const std::vector<graph::ParameterInfo> infos = builder.parameter_infos();
  const graph::Model model{builder.Finish(), infos};
  const engine::ParameterLayout layout(model.graph);
  std::vector<float> weights(static_cast<size_t>(layout.elements()));
  InitializeWeights(model, layout, 5, weights);
  // PyTorch's half-width: 1 / sqrt(hidden). Five standard errors of the moments of uniform numbers in [-1, 1).
  for (const auto& [name, size] :
       {std::pair("weight_ih", 25600), {"weight_hh", 16384}, {"bias_ih", 256}, {"bias_hh", 256}}) {
    const engine::ArenaEntry* entry = layout.Find(std::string("rnn.") + name + "_l0");
    ASSERT_NE(entry, nullptr) << name;
    ASSERT_EQ(entry->size(), size) << name;
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < entry->size(); ++i) {
      const double z = double{weights[static_cast<size_t>(entry->offset + i)]} * 8;
      sum += z;
      squares += z * z;
      largest = std::max(largest, std::abs(z));
    }
    EXPECT_LE(largest, 1) << name;
    EXPECT_GT(largest, 0.95) << name;
    EXPECT_NEAR(sum / size, 0, 5 * std::sqrt(1 / (3.0 * size))) << name;
    EXPECT_NEAR(squares / size, 1 / 3.0, 5 * std::sqrt(4 / (45.0 * size))) << name;
  }
}

TEST_F(InitializeTest, ConstantsAndPaddingAreExact) {
  const std::vector<float> weights = Weights(1);
  std::vector<bool> covered(weights.size());
  const auto expect_all = [&](const std::string& name, float value) {
    for (float weight : Of(weights, name)) ASSERT_EQ(weight, value) << name;
  };
  expect_all("a.bias", 0);
  expect_all("norm.weight", 1);
  expect_all("norm.bias", 0);
  expect_all("norm.running_mean", 0);
  expect_all("norm.running_var", 1);
  expect_all("last.weight", 0.5f);
  for (const engine::ArenaEntry& entry : layout_.entries())
    std::fill_n(covered.begin() + entry.offset, entry.size(), true);
  for (size_t i = 0; i < weights.size(); ++i) {
    ASSERT_TRUE(covered[i] || weights[i] == 0) << i;
  }
}

TEST_F(InitializeTest, TheSameSeedGivesTheSameBytesWhateverTheModeAndBatch) {
  const std::vector<float> weights = Weights(3);
  const graph::Model evaluation = TwoEqualLayers(graph::Mode::kEvaluate, 31);
  std::vector<float> again(weights.size());
  InitializeWeights(evaluation, engine::ParameterLayout(evaluation.graph), 3, again);
  EXPECT_EQ(std::memcmp(weights.data(), again.data(), weights.size() * sizeof(float)), 0);
}

size_t EqualElements(std::span<const float> a, std::span<const float> b) {
  size_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
  return equal;
}

TEST_F(InitializeTest, SeedsAndParametersHaveNumbersOfTheirOwn) {
  const std::vector<float> one = Weights(1), two = Weights(2);
  EXPECT_LT(EqualElements(Of(one, "a.weight"), Of(two, "a.weight")), 10u);
  EXPECT_LT(EqualElements(Of(one, "a.weight"), Of(one, "b.weight")), 10u);
}

}  // namespace
}  // namespace lockstep::step
