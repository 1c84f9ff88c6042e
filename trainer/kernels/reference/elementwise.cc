// Activations, dropout and sums of two. An activation's magnitude is that of its formula's terms, so 0.5 x + 0.5 x
// erf(..) may cancel, plus |x f'(x)|: what a rounding inside the argument of exp or erf becomes.
#include <numbers>

#include "base/philox.h"
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
/// Distribution function and density of the standard normal.
double NormalCdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double NormalPdf(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi); }

/// The argument u of GELU's approximation x Sigmoid(u) = 0.5 x (1 + tanh(u / 2)), and its derivatives.
struct GeluArgument {
  double value, slope, curvature;

  explicit GeluArgument(double x) {
    const double factor = 2 * std::sqrt(2 / std::numbers::pi);
    value = factor * (x + 0.044715 * x * x * x);
    slope = factor * (1 + 3 * 0.044715 * x * x);
    curvature = factor * 6 * 0.044715 * x;
  }
};

}  // namespace

Sum ActivationSlope(graph::Activation activation, double v) {
  switch (activation) {
    case graph::Activation::kNone:
      return {1, 0};
    case graph::Activation::kRelu:
      return {v > 0 ? 1.0 : 0.0, 0};
    case graph::Activation::kTanh:
      return {1 - v * v, 1 + v * v};
    case graph::Activation::kSigmoid:
      return {v * (1 - v), std::abs(v) + v * v};
    case graph::Activation::kGelu: {
      const double pdf = NormalPdf(v), curvature = pdf * (2 - v * v);
      return {NormalCdf(v) + v * pdf,
              0.5 + 0.5 * std::abs(std::erf(v / std::numbers::sqrt2)) + std::abs(v * pdf) + std::abs(v * curvature)};
    }
    case graph::Activation::kSilu: {
      const double s = Sigmoid(v), curvature = s * (1 - s) * (2 + v * (1 - 2 * s));
      return {s + v * s * (1 - s), s + std::abs(v * s * (1 - s)) + std::abs(v * curvature)};
    }
    case graph::Activation::kGeluTanh: {
      const GeluArgument u(v);
      const double s = Sigmoid(u.value), slope = s * Sigmoid(-u.value) * u.slope;
      const double curvature = 2 * slope + v * slope * (1 - 2 * s) * u.slope + v * s * (1 - s) * u.curvature;
      return {s + v * slope, s + std::abs(v * slope) + std::abs(v * curvature)};
    }
  }
  CHECK(false);
  return {};
}

namespace {

/// f(x), how an error of x comes through (f'(x), but 1 for relu), and the sum of absolute terms of f's formula.
struct Curve {
  double value;
  double slope;
  double magnitude;
};

Curve ActivationAt(graph::Activation activation, double x) {
  switch (activation) {
    case graph::Activation::kNone:
      return {x, 1, 0};
    case graph::Activation::kRelu:
      return {x <= 0 ? 0 : x, 1, 0};
    case graph::Activation::kTanh: {
      const double y = std::tanh(x);
      return {y, 1 - y * y, std::abs(y)};
    }
    case graph::Activation::kSigmoid: {
      const double y = Sigmoid(x);
      return {y, y * (1 - y), y};
    }
    case graph::Activation::kGelu:
      return {x * NormalCdf(x), NormalCdf(x) + x * NormalPdf(x),
              0.5 * std::abs(x) * (1 + std::abs(std::erf(x / std::numbers::sqrt2)))};
    case graph::Activation::kSilu: {
      const double s = Sigmoid(x);
      return {x * s, s + x * s * (1 - s), std::abs(x * s)};
    }
    case graph::Activation::kGeluTanh: {
      const GeluArgument u(x);
      const double s = Sigmoid(u.value);
      return {x * s, s + x * s * Sigmoid(-u.value) * u.slope, std::abs(x * s)};
    }
  }
  CHECK(false);
  return {};
}

}  // namespace

Sum Activate(graph::Activation activation, const Sum& z) {
  const Curve curve = ActivationAt(activation, z.value);
  return {curve.value, std::abs(curve.slope) * z.magnitude + curve.magnitude};
}

namespace {

std::vector<Tensor> Activation(const Call& call) {
  const Tensor& x = call.in(0);
  const auto activation = call.op.as<graph::ActivationAttributes>().activation;
  const bool exact = activation == graph::Activation::kNone || activation == graph::Activation::kRelu;
  Tensor y = Zeros(x.shape, 1);
  for (size_t i = 0; i < x.data.size(); ++i) {
    Store(y, i, Activate(activation, {x.data[i], exact ? 0 : std::abs(x.data[i])}));
  }
  return {y};
}

std::vector<Tensor> ActivationGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Tensor& v = call.in(1);
  const auto activation = call.op.as<graph::ActivationAttributes>().activation;
  Tensor dx = Zeros(dy.shape, 1);
  for (size_t i = 0; i < dy.data.size(); ++i) Store(dx, i, ActivationSlope(activation, v.data[i]) * dy.data[i]);
  return {dx};
}

std::vector<Tensor> Dropout(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<graph::DropoutAttributes>();
  const auto rows = static_cast<size_t>(x.shape[0]);
  const size_t row_size = x.data.size() / rows;
  Tensor y = Zeros(x.shape, 1);
  for (size_t r = 0; r < rows; ++r) {
    const RandomStream stream{call.step_block.seed, call.step_block.step, attributes.layer_key,
                              call.step_block.first_sample + r};
    for (size_t e = 0; e < row_size; ++e) {
      const bool keep = stream.Uniform(static_cast<uint32_t>(e)) >= attributes.probability;
      if (keep) Add(y, r * row_size + e, x.data[r * row_size + e] / (1 - double{attributes.probability}));
    }
  }
  return {y};
}

std::vector<Tensor> AddOp(const Call& call) {
  const Tensor& a = call.in(0);
  const Tensor& b = call.in(1);
  const auto activation = call.op.as<graph::ActivationAttributes>().activation;
  Tensor y = Zeros(a.shape, 2);
  for (size_t i = 0; i < a.data.size(); ++i) {
    Sum sum;
    sum.Add(a.data[i]);
    sum.Add(b.data[i]);
    Store(y, i, Activate(activation, sum));
  }
  return {y};
}

std::vector<Tensor> Pixels(const Call& call) {
  const Tensor &x = call.in(0), &inside = call.in(1);
  const auto& attributes = call.op.as<graph::PixelsAttributes>();
  const auto height = static_cast<size_t>(x.shape[1]), width = static_cast<size_t>(x.shape[2]),
             channels = static_cast<size_t>(x.shape[3]);
  Tensor y = Zeros(x.shape, 2);
  for (size_t i = 0; i < x.data.size(); ++i) {
    const size_t c = i % channels, column = i / channels % width, row = i / channels / width % height;
    const double* edges = &inside.data[i / channels / width / height * 4];
    const auto at = [](size_t place) { return static_cast<double>(place); };
    if (at(row) < edges[0] || at(column) < edges[1] || at(row) >= edges[2] || at(column) >= edges[3]) continue;
    Sum sum;
    sum.Add(x.data[i] * double{attributes.scale});
    sum.Add(-double{attributes.mean[c]});
    Store(y, i, sum * (1 / double{attributes.deviation[c]}));
  }
  return {y};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kActivation, .run = Activation},
    {.kind = OpKind::kActivationGrad, .run = ActivationGrad},
    {.kind = OpKind::kDropout, .run = Dropout},
    {.kind = OpKind::kDropoutGrad, .run = Dropout},
    {.kind = OpKind::kAdd, .run = AddOp},
    {.kind = OpKind::kPixels, .run = Pixels},
};

}  // namespace

std::span<const OpFunction> ElementwiseRows() { return kRows; }

}  // namespace lockstep::reference
