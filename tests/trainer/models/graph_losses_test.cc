// Losses that a recipe's graph names, against their definitions in double precision, and their gradients against
// central differences.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/trainer/kernels/differences.h"
#include "tests/trainer/models/model_world.h"
#include "trainer/passes/passes.h"

namespace lockstep::models {
namespace {

using reference::Tensor;

/// What one row counts, of its logits or predictions, and of its targets or its label's number.
using RowLoss = std::function<double(const std::vector<double>& x, const std::vector<double>& target, int label)>;

double LogSoftmax(const std::vector<double>& x, size_t i) {
  double sum = 0;
  for (const double value : x) sum += std::exp(value);
  return x[i] - std::log(sum);
}

/// The mean over a row of a function of a prediction and its target.
RowLoss MeanOf(double (*of)(double x, double target)) {
  return [of](const std::vector<double>& x, const std::vector<double>& target, int) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += of(x[i], target[i]);
    return sum / static_cast<double>(x.size());
  };
}

struct LossCase {
  const char* name;
  const char* loss;
  bool labels;
  RowLoss row;
};

std::ostream& operator<<(std::ostream& out, const LossCase& one) { return out << one.name; }

std::vector<LossCase> LossCases() {
  return {
      {"squared", "mean_squared_error {}", false, MeanOf([](double x, double t) { return (x - t) * (x - t); })},
      {"absolute", "mean_absolute_error {}", false, MeanOf([](double x, double t) { return std::abs(x - t); })},
      {"huber", "huber { delta: 0.5 }", false, MeanOf([](double x, double t) {
         const double d = std::abs(x - t);
         return d <= 0.5 ? d * d / 2 : 0.5 * (d - 0.25);
       })},
      {"binary", "binary_cross_entropy {}", false, MeanOf([](double x, double t) {
         const double p = 1 / (1 + std::exp(-x));
         return -(t * std::log(p) + (1 - t) * std::log(1 - p));
       })},
      {"divergence", "kl_divergence {}", false,
       [](const std::vector<double>& x, const std::vector<double>& target, int) {
         double sum = 0;
         for (size_t i = 0; i < x.size(); ++i)
           if (target[i] > 0) sum += target[i] * (std::log(target[i]) - LogSoftmax(x, i));
         return sum;
       }},
      {"cross_entropy", "softmax_cross_entropy {}", true,
       [](const std::vector<double>& x, const std::vector<double>&, int label) {
         return label < 0 ? 0 : -LogSoftmax(x, static_cast<size_t>(label));
       }},
      {"focal", "focal_cross_entropy { gamma: 1.5 }", true,
       [](const std::vector<double>& x, const std::vector<double>&, int label) {
         if (label < 0) return 0.0;
         const double log_p = LogSoftmax(x, static_cast<size_t>(label));
         return -std::pow(1 - std::exp(log_p), 1.5) * log_p;
       }},
      {"mean", "mean_value {}", false,
       [](const std::vector<double>& x, const std::vector<double>&, int) {
         double sum = 0;
         for (const double value : x) sum += value;
         return sum / static_cast<double>(x.size());
       }},
  };
}

/// Three outputs of four features; a second loss beside it that counts a quarter.
ModelConfig ConfigOf(const LossCase& one) {
  return Parse(std::string("graph { node { name: 'fc1' linear { features: 5 } } node { activation: TANH } "
                           "node { name: 'fc2' linear { features: 3 } } loss { ") +
               one.loss + " } loss { name: 'size' node: 'fc1' weight: 0.25 mean_value {} } }");
}

class GraphLoss : public testing::TestWithParam<LossCase> {};

TEST_P(GraphLoss, IsItsDefinition) {
  const DataShape data = GetParam().labels ? Features(4, 3) : Features(4, 0, 3);
  const graph::Graph graph = Build(ConfigOf(GetParam()), data, graph::Mode::kEvaluate, 5).graph;
  Values values = RandomValues(graph);
  if (const auto target = values.find("target"); target != values.end())
    for (double& value : target->second.data) value = value < 0 ? 0 : value / 4;
  const std::vector<Tensor> all = reference::RunGraph(graph, values, kStepBlock);
  const Tensor& x = all[static_cast<size_t>(graph.Find("fc2"))];
  double expected = 0;
  for (size_t r = 0; r < 5; ++r) {
    const auto row = [&](const std::vector<double>& of) {
      return std::vector<double>(of.begin() + static_cast<long>(3 * r), of.begin() + static_cast<long>(3 * r + 3));
    };
    const bool has_label = values.contains("label"), has_target = values.contains("target");
    const double mask = values.contains("mask") && !GetParam().labels ? values.at("mask").data[r] : 1;
    const double masked_label = GetParam().labels && std::string(GetParam().name) == "focal" && values.contains("mask")
                                    ? values.at("mask").data[r]
                                    : 1;
    expected += mask * masked_label *
                GetParam().row(row(x.data), has_target ? row(values.at("target").data) : row(x.data),
                               has_label ? static_cast<int>(values.at("label").data[r]) : -1);
  }
  EXPECT_NEAR(all[static_cast<size_t>(graph.losses[0].sum)].data[0], expected, 1e-9);
  EXPECT_EQ(graph.losses[1].name, "size");
  EXPECT_EQ(graph.losses[1].weight, 0.25f);
  EXPECT_EQ(graph.counters.size(), GetParam().labels ? 1 : 0);
}

TEST_P(GraphLoss, HasItsGradient) {
  const DataShape data = GetParam().labels ? Features(4, 3) : Features(4, 0, 3);
  const graph::Graph forward = Build(ConfigOf(GetParam()), data, graph::Mode::kTrain, 5).graph;
  ExpectGradientsOf(forward, passes::AddGradients(forward, {}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, GraphLoss, testing::ValuesIn(LossCases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace lockstep::models
