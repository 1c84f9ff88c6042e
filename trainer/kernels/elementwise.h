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

template <graph::Activation kKind>
LOCKSTEP_HD float Activate(float x) {
  using graph::Activation;
  if constexpr (kKind == Activation::kRelu) return Relu(x);
  if constexpr (kKind == Activation::kGelu) return x * Normal(x).cdf;
  if constexpr (kKind == Activation::kSilu) return x * Sigmoid(x);
  if constexpr (kKind == Activation::kTanh) return Tanh(x);
  if constexpr (kKind == Activation::kSigmoid) return Sigmoid(x);
  return x;
}

/// `v` is the result for relu, tanh and sigmoid, and the input for gelu and silu.
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
  return dy;
}

/// Dropout of the element whose random word is `bits`: the same mask forward and backward. `scale` is 1 / (1 -
/// probability).
LOCKSTEP_HD float Drop(float x, uint32_t bits, float probability, float scale) {
  return static_cast<float>(static_cast<int32_t>(bits >> 8)) * 0x1p-24f >= probability ? x * scale : 0.0f;
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

LOCKSTEP_HD float SquaredErrorGradient(float prediction, float target, float scale) {
  return (prediction - target) * scale;
}

}  // namespace lockstep::kernels
