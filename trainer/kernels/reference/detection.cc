// Losses of object detection. Here every factor that an element's definition names (a probability, its logarithm, a
// distance, a ratio) has its own rounding: products and quotients carry the magnitudes of what they are made of. Sums
// over elements have as many terms as there are elements; gradients have the K of the sum that is written out below.
#include <algorithm>
#include <array>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::BoxLossAttributes;
using graph::FocalAttributes;
using graph::OpKind;

/// A number with its own rounding.
Sum Rounded(double value) { return {value, std::abs(value)}; }
Sum operator*(const Sum& a, const Sum& b) {
  return {a.value * b.value, std::abs(a.value) * b.magnitude + a.magnitude * std::abs(b.value)};
}
Sum operator/(const Sum& a, const Sum& b) {
  return {a.value / b.value, (a.magnitude + std::abs(a.value / b.value) * b.magnitude) / std::abs(b.value)};
}
Sum operator+(const Sum& a, const Sum& b) { return {a.value + b.value, a.magnitude + b.magnitude}; }
Sum operator-(const Sum& a, const Sum& b) { return {a.value - b.value, a.magnitude + b.magnitude}; }

double ScaleOf(const Call& call, int loss) { return call.step_block.loss_scale[loss]; }

double Sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double LogOfSigmoid(double x) { return std::min(x, 0.0) - std::log1p(std::exp(-std::abs(x))); }

/// An element of a focal loss: its probability, what lacks to 1, and the logarithms of both.
struct Probability {
  Sum p, q, log_p, log_q;
  bool clamped;

  Probability(double x, double clamp) {
    const auto within = [&](double value) { return std::clamp(value, clamp, 1 - clamp); };
    const auto log_within = [&](double value) {
      return clamp > 0 ? std::clamp(value, std::log(clamp), std::log1p(-clamp)) : value;
    };
    p = Rounded(within(Sigmoid(x)));
    q = Rounded(within(Sigmoid(-x)));
    log_p = Rounded(log_within(LogOfSigmoid(x)));
    log_q = Rounded(log_within(LogOfSigmoid(-x)));
    clamped = Sigmoid(x) < clamp || Sigmoid(-x) < clamp;
  }
};

/// The target of element i.
double TargetOf(const Call& call, size_t i) {
  const Tensor &logits = call.in(0), &target = call.in(1);
  if (target.shape == logits.shape) return target.data[i];
  const auto classes = static_cast<size_t>(logits.shape[-1]);
  return target.data[i / classes] == static_cast<double>(i % classes) ? 1 : 0;
}

/// (1 - target)^4.
Sum Reduction(double target) {
  const Sum away = Rounded(1 - target);
  return away * away * away * away;
}

std::vector<Tensor> FocalLoss(const Call& call) {
  const Tensor &logits = call.in(0), &mask = call.in(2);
  const auto& attributes = call.op.as<FocalAttributes>();
  const size_t row_size = logits.data.size() / mask.data.size();
  Sum sum;
  for (size_t i = 0; i < logits.data.size(); ++i) {
    const double weight = mask.data[i / row_size], target = TargetOf(call, i);
    if (weight == 0) continue;
    const Probability at(logits.data[i], attributes.clamp);
    const Sum wanted = at.q * at.q * at.log_p * (-double{attributes.positive});
    const Sum unwanted = Reduction(target) * at.p * at.p * at.log_q * (-double{attributes.negative});
    sum = sum + (target == 1 ? wanted : unwanted) * weight;
  }
  return {Scalar(sum, logits.shape.size())};
}

std::vector<Tensor> FocalLossGrad(const Call& call) {
  const Tensor &logits = call.in(0), &mask = call.in(2);
  const auto& attributes = call.op.as<FocalAttributes>();
  const size_t row_size = logits.data.size() / mask.data.size();
  Tensor dlogits = Zeros(logits.shape, 2);
  for (size_t i = 0; i < logits.data.size(); ++i) {
    const double weight = mask.data[i / row_size], target = TargetOf(call, i);
    const Probability at(logits.data[i], attributes.clamp);
    if (weight == 0 || at.clamped) continue;
    // d(q^2 log p) = q^2 (q - 2 p log p) and d(p^2 log q) = p^2 (2 q log q - p), of one sign each.
    const Sum wanted = at.q * at.q * (at.p * at.log_p * 2 - at.q) * double{attributes.positive};
    const Sum unwanted = Reduction(target) * at.p * at.p * (at.p - at.q * at.log_q * 2) * double{attributes.negative};
    Store(dlogits, i, (target == 1 ? wanted : unwanted) * (weight * ScaleOf(call, attributes.loss)));
  }
  return {dlogits};
}

/// Distances from a point to left, top, right and bottom.
using Sides = std::array<Sum, 4>;

Sum AreaOf(const Sides& d) { return (d[0] + d[2]) * (d[1] + d[3]); }
/// The derivative of the area by distance k: the other side's length.
Sum AreaSlope(const Sides& d, size_t k) { return k % 2 == 0 ? d[1] + d[3] : d[0] + d[2]; }

/// A predicted box and its target around one point.
struct Boxes {
  Sides box, target, least, most;
  Sum shared, hull, united;
  Sides by_side;  ///< the derivative of each distance by what is predicted

  Boxes(const double* sides, const double* wanted, bool exponential) {
    for (size_t k = 0; k < 4; ++k) {
      box[k] = Rounded(exponential ? std::exp(std::min(sides[k], 4.0)) : std::max(sides[k], 0.0));
      by_side[k] = exponential ? (sides[k] > 4 ? Sum{} : box[k]) : Sum{sides[k] > 0 ? 1.0 : 0.0, 0};
      target[k] = Rounded(wanted[k]);
      least[k] = box[k].value < wanted[k] ? box[k] : target[k];
      most[k] = box[k].value > wanted[k] ? box[k] : target[k];
    }
    shared = AreaOf(least);
    hull = AreaOf(most);
    united = AreaOf(box) + AreaOf(target) - shared;
  }
  /// 1 - GIoU.
  Sum Loss() const { return Rounded(1) - shared / united + (hull - united) / hull; }
  /// Its derivative by side k.
  Sum Gradient(size_t k) const {
    const double d = box[k].value, t = target[k].value;
    const double to_minimum = d < t ? 1 : d > t ? 0 : 0.5;
    const Sum shared_slope = AreaSlope(least, k) * to_minimum, hull_slope = AreaSlope(most, k) * (1 - to_minimum);
    const Sum united_slope = AreaSlope(box, k) - shared_slope;
    // -(shared / united)' - (united / hull)'
    const Sum iou_slope = (shared_slope * united - shared * united_slope) / (united * united);
    const Sum filled_slope = (united_slope * hull - united * hull_slope) / (hull * hull);
    return (Sum{} - iou_slope - filled_slope) * by_side[k];
  }
};

std::vector<Tensor> BoxLoss(const Call& call) {
  const Tensor &sides = call.in(0), &target = call.in(1), &weight = call.in(2);
  const auto& attributes = call.op.as<BoxLossAttributes>();
  Sum sum;
  for (size_t cell = 0; cell < weight.data.size(); ++cell) {
    if (weight.data[cell] == 0) continue;
    const Boxes boxes(&sides.data[4 * cell], &target.data[4 * cell], attributes.exponential);
    sum = sum + boxes.Loss() * (weight.data[cell] * double{attributes.factor});
  }
  return {Scalar(sum, weight.shape.size())};
}

std::vector<Tensor> BoxLossGrad(const Call& call) {
  const Tensor &sides = call.in(0), &target = call.in(1), &weight = call.in(2);
  const auto& attributes = call.op.as<BoxLossAttributes>();
  Tensor dsides = Zeros(sides.shape, 6);
  for (size_t cell = 0; cell < weight.data.size(); ++cell) {
    if (weight.data[cell] == 0) continue;
    const Boxes boxes(&sides.data[4 * cell], &target.data[4 * cell], attributes.exponential);
    const double scale = weight.data[cell] * double{attributes.factor} * ScaleOf(call, attributes.loss);
    for (size_t k = 0; k < 4; ++k) Store(dsides, 4 * cell + k, boxes.Gradient(k) * scale);
  }
  return {dsides};
}

std::vector<Tensor> SigmoidCrossEntropy(const Call& call) {
  const Tensor &logits = call.in(0), &target = call.in(1), &weight = call.in(2);
  Sum sum;
  for (size_t i = 0; i < logits.data.size(); ++i) {
    const double x = logits.data[i], t = target.data[i];
    sum = sum - (Rounded(LogOfSigmoid(x)) * Rounded(t) + Rounded(LogOfSigmoid(-x)) * Rounded(1 - t)) * weight.data[i];
  }
  return {Scalar(sum, logits.shape.size())};
}

std::vector<Tensor> SigmoidCrossEntropyGrad(const Call& call) {
  const Tensor &logits = call.in(0), &target = call.in(1), &weight = call.in(2);
  const double scale = ScaleOf(call, call.op.as<graph::LossAttributes>().loss);
  Tensor dlogits = Zeros(logits.shape, 2);
  for (size_t i = 0; i < logits.data.size(); ++i) {
    Store(dlogits, i, (Rounded(Sigmoid(logits.data[i])) - Rounded(target.data[i])) * (weight.data[i] * scale));
  }
  return {dlogits};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kSigmoidCrossEntropy, .run = SigmoidCrossEntropy},
    {.kind = OpKind::kSigmoidCrossEntropyGrad, .run = SigmoidCrossEntropyGrad},
    {.kind = OpKind::kFocalLoss, .run = FocalLoss},
    {.kind = OpKind::kFocalLossGrad, .run = FocalLossGrad},
    {.kind = OpKind::kBoxLoss, .run = BoxLoss},
    {.kind = OpKind::kBoxLossGrad, .run = BoxLossGrad},
};

}  // namespace

std::span<const OpFunction> DetectionRows() { return kRows; }

}  // namespace lockstep::reference
