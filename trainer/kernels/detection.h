// The mathematics of losses of object detection (OpKind::kFocalLoss, kSigmoidCrossEntropy, kBoxLoss), written once for
// all backends: functions of one element or one box.
#pragma once

#include <cstdint>
#include <limits>

#include "base/host_device.h"
#include "trainer/graph/graph.h"
#include "trainer/kernels/math.h"

namespace lockstep::kernels {

/// A focal loss's attributes as its elements need them.
struct FocalLoss {
  float positive, negative;
  float least, most;          ///< of probabilities: clamp and 1 - clamp
  float log_least, log_most;  ///< their logarithms

  explicit FocalLoss(const graph::FocalAttributes& attributes)
      : positive(attributes.positive), negative(attributes.negative), least(attributes.clamp) {
    const auto clamp = static_cast<double>(attributes.clamp);
    most = static_cast<float>(1.0 - clamp);
    log_least = clamp > 0 ? static_cast<float>(Log(clamp)) : -std::numeric_limits<float>::infinity();
    log_most = static_cast<float>(Log(1.0 - clamp));
  }

  /// Not-a-number stays, so that a diverged run shows.
  static LOCKSTEP_HD float Within(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

  /// What an element of logit `x` adds, mask left out.
  LOCKSTEP_HD float Term(float x, float target) const {
    const SigmoidPoint at = SigmoidWithLogarithms(x);
    const float p = Within(at.p, least, most), q = Within(at.q, least, most);
    const float wanted = -positive * (q * q) * Within(at.log_p, log_least, log_most);
    const float unwanted = -negative * Reduction(target) * (p * p) * Within(at.log_q, log_least, log_most);
    return target == 1.0f ? wanted : unwanted;
  }

  /// Its derivative by x, times `scale`.
  LOCKSTEP_HD float Gradient(float x, float target, float scale) const {
    const auto [p, q, log_p, log_q] = SigmoidWithLogarithms(x);
    const float wanted = positive * (q * q) * (2.0f * p * log_p - q);
    const float unwanted = negative * Reduction(target) * (p * p) * (p - 2.0f * q * log_q);
    const float slope = (target == 1.0f ? wanted : unwanted) * scale;
    const float nearest = p < q ? p : q;
    return nearest < least ? 0.0f : slope;
  }

 private:
  /// (1 - target)^4.
  static LOCKSTEP_HD float Reduction(float target) {
    const float square = (1.0f - target) * (1.0f - target);
    return square * square;
  }
};

/// A sigmoid cross entropy's element: what it adds, weight left out, and its derivative by x, times `scale`.
LOCKSTEP_HD float SigmoidCrossEntropy(float x, float target) {
  const SigmoidPoint at = SigmoidWithLogarithms(x);
  return -target * at.log_p - (1.0f - target) * at.log_q;
}
LOCKSTEP_HD float SigmoidCrossEntropyGradient(float x, float target, float scale) {
  return (Sigmoid(x) - target) * scale;
}

/// Distances from a point to a box's left, top, right and bottom.
struct BoxSides {
  float d[4];

  LOCKSTEP_HD float width() const { return d[0] + d[2]; }
  LOCKSTEP_HD float height() const { return d[1] + d[3]; }
  LOCKSTEP_HD float area() const { return width() * height(); }
};

/// A predicted box around a point, and the one that is wanted there.
struct BoxPair {
  BoxSides box, target, shared, hull;
  float shared_area, hull_area, union_area;

  LOCKSTEP_HD BoxPair(const float* sides, const float* wanted, bool exponential) {
    for (int k = 0; k < 4; ++k) {
      const float x = sides[k];
      const float least = x <= 0.0f ? 0.0f : x;
      const float d = exponential ? Exp(x > 4.0f ? 4.0f : x) : least, t = wanted[k];
      box.d[k] = d;
      target.d[k] = t;
      shared.d[k] = d > t ? t : d;
      hull.d[k] = d < t ? t : d;
    }
    shared_area = shared.area();
    hull_area = hull.area();
    union_area = box.area() + target.area() - shared_area;
  }

  /// 1 - GIoU.
  LOCKSTEP_HD float Loss() const { return 1.0f - shared_area / union_area + (hull_area - union_area) / hull_area; }

  /// The derivative of Loss() = 2 - shared / union - union / hull by sides[k], times `scale`.
  LOCKSTEP_HD float Gradient(const float* sides, int k, bool exponential, float scale) const {
    const float d = box.d[k], t = target.d[k];
    // The part of the minimum that moves with d; of equals half of both, as PyTorch has it.
    const float to_minimum = d < t ? 1.0f : d > t ? 0.0f : 0.5f, to_maximum = 1.0f - to_minimum;
    const bool across = k == 0 || k == 2;
    const float area = across ? box.height() : box.width();
    const float shared_slope = to_minimum * (across ? shared.height() : shared.width());
    const float hull_slope = to_maximum * (across ? hull.height() : hull.width());
    const float union_slope = area - shared_slope;
    const float iou = shared_area / union_area, filled = union_area / hull_area;
    const float slope =
        (iou * union_slope - shared_slope) / union_area + (filled * hull_slope - union_slope) / hull_area;
    const float x = sides[k];
    if (exponential) return x > 4.0f ? 0.0f : slope * d * scale;
    return x <= 0.0f ? 0.0f : slope * scale;
  }
};

}  // namespace lockstep::kernels
