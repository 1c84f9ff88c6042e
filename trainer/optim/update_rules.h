// The arithmetic of one element's update, for CPU loops and CUDA kernels alike. Numbers that are the same for a whole
// segment are computed once on the host, in double, and stored here as floats.
//
// Nothing here looks at neighbours or positions, so an update's bits don't depend on how the arena is cut.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"

namespace lockstep::optim {

/// w -= rate * g, with `decay * w` added to g.
struct PlainRule {
  float rate = 0;
  float gradient_scale = 1;
  float decay = 0;

  LOCKSTEP_HD void operator()(float gradient, float& weight) const {
    const float g = gradient * gradient_scale + decay * weight;
    weight = weight - rate * g;
  }
};

/// SGD with momentum as PyTorch defines it: buf = momentum * buf + g; w -= rate * buf, or rate * (g + momentum * buf)
/// with Nesterov. A buffer that starts at 0 makes the first one g.
struct MomentumRule {
  float rate = 0;
  float gradient_scale = 1;
  float decay = 0;
  float momentum = 0;
  bool nesterov = false;

  LOCKSTEP_HD void operator()(float gradient, float& weight, float& buffer) const {
    const float g = gradient * gradient_scale + decay * weight;
    const float b = momentum * buffer + g;
    buffer = b;
    weight = weight - rate * (nesterov ? g + momentum * b : b);
  }
};

/// Adam and AdamW: m and v are moving averages of g and g * g; w -= step_size * m / (sqrt(v) * second_scale + epsilon).
struct AdamRule {
  float gradient_scale = 1;
  float decay = 0;   ///< Adam: added to the gradient, times w
  float shrink = 1;  ///< AdamW: 1 - rate * decay, on the weight, before all else
  float beta1 = 0, one_minus_beta1 = 1;
  float beta2 = 0, one_minus_beta2 = 1;
  float step_size = 0;     ///< rate / (1 - beta1^t)
  float second_scale = 1;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon = 0;

  LOCKSTEP_HD void operator()(float gradient, float& weight, float& m, float& v) const {
    const float w = weight * shrink;
    const float g = gradient * gradient_scale + decay * w;
    const float first = beta1 * m + one_minus_beta1 * g;
    const float second = beta2 * v + one_minus_beta2 * (g * g);
    m = first;
    v = second;
    weight = w - step_size * (first / (sqrtf(second) * second_scale + epsilon));
  }
};

/// A running statistic moves toward the mean over lanes. The sum is multiplied by 1 / lanes rounded to float, which is
/// exact where lanes is a power of two.
struct StatisticRule {
  float momentum = 0;
  float inverse_lanes = 1;

  LOCKSTEP_HD void operator()(float lane_sum, float& statistic) const {
    statistic = statistic + momentum * (lane_sum * inverse_lanes - statistic);
  }
};

/// The exponential moving average of the weights, after their update.
struct AverageRule {
  float decay = 0;
  float one_minus_decay = 1;

  LOCKSTEP_HD void operator()(float weight, float& average) const {
    average = decay * average + one_minus_decay * weight;
  }
};

/// How one update treats the elements [begin, end) of the arena: what is worked out per segment and step, on the host.
struct SegmentRules {
  enum class Kind : int32_t { kFrozen, kStatistic, kPlain, kMomentum, kAdam };

  int64_t begin = 0;
  int64_t end = 0;
  Kind kind = Kind::kFrozen;
  bool averages = false;  ///< there is an EMA, in state array
  int32_t ema = 0;
  PlainRule plain;
  MomentumRule momentum;
  AdamRule adam;
  StatisticRule statistic;
  AverageRule average;
};

/// How many state arrays, from the first on, hold what the rules remember of gradients. The average has its own.
LOCKSTEP_HD int MomentsOf(SegmentRules::Kind kind) {
  return kind == SegmentRules::Kind::kAdam ? 2 : kind == SegmentRules::Kind::kMomentum ? 1 : 0;
}

/// What is remembered of one element; what its rules have no use for stays as it is.
struct ElementState {
  float& first;
  float& second;
  float& average;
};

/// One element by the rules of its segment. `sum`: the lane-tree sum.
LOCKSTEP_HD void UpdateElement(const SegmentRules& rules, float gradient_scale, float sum, float& weight,
                               const ElementState& state) {
  using Kind = SegmentRules::Kind;
  switch (rules.kind) {
    case Kind::kFrozen:
      return;
    case Kind::kStatistic:
      rules.statistic(sum, weight);
      if (rules.averages) state.average = weight;  // a statistic is an average already
      return;
    case Kind::kPlain: {
      PlainRule rule = rules.plain;
      rule.gradient_scale = gradient_scale;
      rule(sum, weight);
      break;
    }
    case Kind::kMomentum: {
      MomentumRule rule = rules.momentum;
      rule.gradient_scale = gradient_scale;
      rule(sum, weight, state.first);
      break;
    }
    case Kind::kAdam: {
      AdamRule rule = rules.adam;
      rule.gradient_scale = gradient_scale;
      rule(sum, weight, state.first, state.second);
      break;
    }
  }
  if (rules.averages) rules.average(weight, state.average);
}

}  // namespace lockstep::optim
