// Gradients of graphs against central differences in double precision. Losses are scaled as the step block says, and a
// parameter's gradient is of their sum.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/philox.h"
#include "trainer/graph/graph.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/reference/reference.h"

namespace lockstep {

/// By name.
using Values = std::map<std::string, reference::Tensor>;

inline constexpr graph::StepBlock kStepBlock{
    .seed = 5, .step = 11, .first_sample = 100, .loss_scale = {0.25f, 2, 3, 1}};

inline double Normal(const RandomStream& stream, uint32_t i) {
  return NormalFromBits(stream.Bits(2 * i), stream.Bits(2 * i + 1));
}

/// Random values for everything that a graph takes: labels in [-1, 3), lengths 0, 2, 4, .. of labels
/// 0, 1, 2, .., transcripts, masks of 0 and 1, heat in [0, 1], of which every fourth is 1, sides of boxes and variances
/// above 0.
inline Values RandomValues(const graph::Graph& graph) {
  Values values;
  for (size_t id = 0; id < graph.values.size(); ++id) {
    const graph::Value& value = graph.values[id];
    if (value.role == graph::Role::kActivation || value.role == graph::Role::kStepBlock) continue;
    const RandomStream stream{7, 0, static_cast<uint32_t>(id), 0};
    reference::Tensor tensor{value.shape, {}, {}, 1};
    for (uint32_t i = 0; i < static_cast<uint32_t>(value.shape.size()); ++i) {
      const bool integer = value.dtype == DType::kI32;
      if (value.name == "length")
        tensor.data.push_back(2 * i);
      else if (value.name == "label_length")
        tensor.data.push_back(i);
      else if (value.name == "transcript")
        tensor.data.push_back(1 + i % 3 % 2);
      else if (integer)
        tensor.data.push_back(i == 1 ? -1 : std::floor(3 * stream.Uniform(i)));
      else if (value.name == "mask")
        tensor.data.push_back(i == 2 ? 0 : 1);
      else if (value.name == "heat")
        tensor.data.push_back(i % 4 == 0 ? 1 : stream.Uniform(i));
      else if (value.name == "boxes" || value.name.ends_with("running_var"))
        tensor.data.push_back(0.2 + 2 * stream.Uniform(i));
      else
        tensor.data.push_back(Normal(stream, i));
    }
    values[value.name] = tensor;
  }
  return values;
}

inline double ScaledLoss(const graph::Graph& graph, const Values& values) {
  const std::vector<reference::Tensor> all = reference::RunGraph(graph, values, kStepBlock);
  double loss = 0;
  for (size_t i = 0; i < graph.losses.size(); ++i) {
    loss += all[static_cast<size_t>(graph.losses[i].sum)].data[0] * kStepBlock.loss_scale[i];
  }
  return loss;
}

/// Compares the gradient of each parameter with central differences of `forward`, at about 5 elements of each.
/// `backward` is the graph with gradients of `forward` or of one that computes the same.
inline void ExpectGradientsOf(const graph::Graph& forward, const graph::Graph& backward,
                              const std::set<std::string>& frozen = {}) {
  Values values = RandomValues(forward);
  const std::vector<reference::Tensor> all = reference::RunGraph(backward, values, kStepBlock);
  constexpr double kStep = 1e-5;
  for (const graph::ValueId parameter : forward.parameters) {
    const std::string& name = forward.value(parameter).name;
    const auto found = backward.gradients.find(backward.Find(name));
    EXPECT_EQ(found == backward.gradients.end(), frozen.contains(name)) << name;
    if (found == backward.gradients.end()) continue;
    const reference::Tensor& gradient = all[static_cast<size_t>(found->second)];
    ASSERT_EQ(gradient.shape, forward.value(parameter).shape) << name;
    std::vector<double>& data = values.at(name).data;
    const size_t stride = std::max<size_t>(1, data.size() / 5);
    for (size_t i = 0; i < data.size(); i += stride) {
      const double before = data[i];
      data[i] = before + kStep;
      const double above = ScaledLoss(forward, values);
      data[i] = before - kStep;
      const double below = ScaledLoss(forward, values);
      data[i] = before;
      const double difference = (above - below) / (2 * kStep);
      EXPECT_NEAR(gradient.data[i], difference, 1e-6 * (1 + std::abs(difference))) << name << " element " << i;
    }
  }
}

}  // namespace lockstep
