// The elementwise mathematics of the ops, written once for all backends: functions of one element, which each backend
// calls from its own loops. Gradients are of the op's result by its input, times what flows in.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "base/philox.h"
#include "trainer/graph/graph.h"
#include "trainer/kernels/math.h"

namespace lockstep::kernels {

/// Not-a-number stays, so that a diverged run shows.
LOCKSTEP_HD float Relu(float x) { return x <= 0.0f ? 0.0f : x; }

/// 2 sqrt(2 / pi) (x + 0.044715 x^3), by which GELU's approximation is x Sigmoid(..), and its slope.
LOCKSTEP_HD float GeluArgument(float x) { return 1.59576912f * x * (1.0f + 0.044715f * (x * x)); }
LOCKSTEP_HD float GeluArgumentSlope(float x) { return 1.59576912f * (1.0f + 0.134145f * (x * x)); }

template <graph::Activation kKind>
LOCKSTEP_HD float Activate(float x) {
  using graph::Activation;
  if constexpr (kKind == Activation::kRelu) return Relu(x);
  if constexpr (kKind == Activation::kGelu) return x * Normal(x).cdf;
  if constexpr (kKind == Activation::kSilu) return x * Sigmoid(x);
  if constexpr (kKind == Activation::kTanh) return Tanh(x);
  if constexpr (kKind == Activation::kSigmoid) return Sigmoid(x);
  if constexpr (kKind == Activation::kGeluTanh) return x * Sigmoid(GeluArgument(x));
  return x;
}

/// `v` is the result for relu, tanh and sigmoid, and the input for gelu (both forms) and silu.
template <graph::Activation kKind>
LOCKSTEP_HD float ActivateGradient(float dy, float v) {
  using graph::Activation;
  if constexpr (kKind == Activation::kRelu) return v > 0.0f ? dy : 0.0f;
  if constexpr (kKind == Activation::kGelu) {
    const NormalPoint normal = Normal(v);
    return dy * (normal.cdf + v * normal.density);
  }
  if constexpr (kKind == Activation::kSilu) {
    const float s = Sigmoid(v);
    return dy * (s + v * s * Sigmoid(-v));  // 1 - s would lose what s has lost
  }
  if constexpr (kKind == Activation::kTanh) return dy * ((1.0f - v) * (1.0f + v));
  if constexpr (kKind == Activation::kSigmoid) return dy * (v * (1.0f - v));
  if constexpr (kKind == Activation::kGeluTanh) {
    const float u = GeluArgument(v), s = Sigmoid(u);
    return dy * (s + v * s * Sigmoid(-u) * GeluArgumentSlope(v));
  }
  return dy;
}

/// silu(gate) * up, and what flows back to both.
LOCKSTEP_HD float SwiGlu(float gate, float up) { return Activate<graph::Activation::kSilu>(gate) * up; }
struct SwiGluGradient {
  float gate, up;
};
LOCKSTEP_HD SwiGluGradient SwiGluBackward(float dy, float gate, float up) {
  return {ActivateGradient<graph::Activation::kSilu>(dy * up, gate), dy * Activate<graph::Activation::kSilu>(gate)};
}

/// Dropout of the element whose random word is `bits`: the same mask forward and backward. `scale` is 1 / (1 -
/// probability).
LOCKSTEP_HD float Drop(float x, uint32_t bits, float probability, float scale) {
  return static_cast<float>(static_cast<int32_t>(bits >> 8)) * 0x1p-24f >= probability ? x * scale : 0.0f;
}

/// What a byte of a picture stands for, by its channel's numbers.
LOCKSTEP_HD float Pixel(uint8_t byte, float scale, float mean, float deviation) {
  return (static_cast<float>(byte) * scale - mean) / deviation;
}

/// A term of the normalised row: (x - mean) * inv_std * weight + bias.
LOCKSTEP_HD float Normalise(float x, float mean, float inv_std, float weight, float bias) {
  return (x - mean) * inv_std * weight + bias;
}

/// Softmax cross entropy: the gradient of a row's loss by one logit. `target` is 1 - s on the label plus s / classes
/// everywhere.
LOCKSTEP_HD float CrossEntropyGradient(float logit, float lse, float target, float scale) {
  return (Exp(logit - lse) - target) * scale;
}

/// What a row of a cross entropy is trained towards: its label, and, where rows are mixed, another one.
struct RowTarget {
  int32_t label = -1, other = -1;
  float weight = 1;  ///< how often the row counts
  float share = 1;   ///< of it, of the label
};

/// Of row `row`; weights, and other labels, may be absent (nullptr).
LOCKSTEP_HD RowTarget TargetOfRow(const int32_t* labels, const float* weights, const int32_t* other_labels,
                                  const float* other_weights, int64_t row) {
  RowTarget target{.label = labels[row]};
  if (weights == nullptr) return target;
  target.weight = weights[row];
  if (other_labels == nullptr || other_weights[row] == 0) return target;
  target.other = other_labels[row];
  target.weight += other_weights[row];
  target.share = weights[row] / target.weight;
  return target;
}

/// The target of class `column`, between 0 and 1.
LOCKSTEP_HD float TargetOfClass(const RowTarget& target, int64_t column, float smoothing, float elsewhere) {
  const float on_labels =
      (column == target.label ? target.share : 0.0f) + (column == target.other ? 1.0f - target.share : 0.0f);
  return (1.0f - smoothing) * on_labels + elsewhere;
}

LOCKSTEP_HD float SquaredErrorGradient(float prediction, float target, float scale) {
  return (prediction - target) * scale;
}

}  // namespace lockstep::kernels
