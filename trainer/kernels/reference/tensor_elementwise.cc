// Elementwise tensor ops. A function's magnitude is that of its formula's terms, plus |x f'(x)|, what a rounding of its
// argument becomes; 0 where it only chooses or compares. Errors of operands come through as differences of the function
// say, so that programs of several functions (kFusedElementwise) carry them on.
#include <algorithm>
#include <array>
#include <functional>
#include <numbers>
#include <variant>
#include <vector>

#include "base/bfloat16.h"
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::BinaryFunction;
using graph::OpKind;
using graph::UnaryAttributes;
using graph::UnaryFunction;

/// A value whose formula has this one term.
Sum Rounded(double value) { return {value, std::abs(value)}; }
Sum Exact(double value) { return {value, 0}; }
Sum Truth(bool value) { return Exact(value ? 1 : 0); }

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

bool ChoosesOnly(UnaryFunction function) {
  switch (function) {
    case UnaryFunction::kAbs:
    case UnaryFunction::kCeil:
    case UnaryFunction::kClip:
    case UnaryFunction::kFloor:
    case UnaryFunction::kIsInf:
    case UnaryFunction::kIsNan:
    case UnaryFunction::kNegative:
    case UnaryFunction::kNot:
    case UnaryFunction::kRound:
    case UnaryFunction::kSign:
    case UnaryFunction::kThresholdedRelu:
      return true;
    default:
      return false;
  }
}

Sum UnaryValue(const UnaryAttributes& f, double x) {
  const double alpha = f.alpha, beta = f.beta;
  switch (f.function) {
    case UnaryFunction::kAbs:
      return Exact(std::abs(x));
    case UnaryFunction::kAcos:
      return Rounded(std::acos(x));
    case UnaryFunction::kAcosh:
      return Rounded(std::acosh(x));
    case UnaryFunction::kAsin:
      return Rounded(std::asin(x));
    case UnaryFunction::kAsinh:
      return Rounded(std::asinh(x));
    case UnaryFunction::kAtan:
      return Rounded(std::atan(x));
    case UnaryFunction::kAtanh:
      return Rounded(std::atanh(x));
    case UnaryFunction::kCeil:
      return Exact(std::ceil(x));
    case UnaryFunction::kCelu:
      return Rounded(x > 0 ? x : alpha * std::expm1(x / alpha));
    case UnaryFunction::kClip:
      return Exact(std::min(std::max(x, alpha), beta));
    case UnaryFunction::kCos:
      return Rounded(std::cos(x));
    case UnaryFunction::kCosh:
      return Rounded(std::cosh(x));
    case UnaryFunction::kElu:
      return Rounded(x > 0 ? x : alpha * std::expm1(x));
    case UnaryFunction::kErf:
      return Rounded(std::erf(x));
    case UnaryFunction::kExp:
      return Rounded(std::exp(x));
    case UnaryFunction::kFloor:
      return Exact(std::floor(x));
    case UnaryFunction::kHardSigmoid:
      return {std::max(0.0, std::min(1.0, alpha * x + beta)), std::abs(alpha * x) + std::abs(beta)};
    case UnaryFunction::kHardSwish: {
      const double gate = std::max(0.0, std::min(1.0, x / 6 + 0.5));
      return {x * gate, gate > 0 ? std::abs(x) * (std::min(std::abs(x) / 6, 1.0) + 0.5) : 0};
    }
    case UnaryFunction::kIsInf:
      return Truth(std::isinf(x));
    case UnaryFunction::kIsNan:
      return Truth(std::isnan(x));
    case UnaryFunction::kLeakyRelu:
      return x > 0 ? Exact(x) : Rounded(alpha * x);
    case UnaryFunction::kLog:
      return Rounded(std::log(x));
    case UnaryFunction::kMish:
      return Rounded(x * std::tanh(Softplus(x)));
    case UnaryFunction::kNegative:
      return Exact(-x);
    case UnaryFunction::kNot:
      return Truth(x == 0);
    case UnaryFunction::kReciprocal:
      return Rounded(1 / x);
    case UnaryFunction::kRound:
      return Exact(std::nearbyint(x));
    case UnaryFunction::kSelu:
      return Rounded(beta * (x > 0 ? x : alpha * std::expm1(x)));
    case UnaryFunction::kSign:
      return Exact(x > 0 ? 1 : x < 0 ? -1 : x);
    case UnaryFunction::kSin:
      return Rounded(std::sin(x));
    case UnaryFunction::kSinh:
      return Rounded(std::sinh(x));
    case UnaryFunction::kSoftplus:
      return Rounded(Softplus(x));
    case UnaryFunction::kSoftsign:
      return Rounded(x / (1 + std::abs(x)));
    case UnaryFunction::kSqrt:
      return Rounded(std::sqrt(x));
    case UnaryFunction::kTan:
      return Rounded(std::tan(x));
    case UnaryFunction::kThresholdedRelu:
      return Exact(x > alpha ? x : 0);
    case UnaryFunction::kCount:
      break;
  }
  CHECK(false);
  return {};
}

/// f'(x).
Sum UnarySlope(const UnaryAttributes& f, double x) {
  const double alpha = f.alpha, beta = f.beta;
  switch (f.function) {
    case UnaryFunction::kAbs:
      return Exact(x > 0 ? 1 : x < 0 ? -1 : 0);
    case UnaryFunction::kAcos:
      return Rounded(-1 / std::sqrt(1 - x * x));
    case UnaryFunction::kAcosh:
      return Rounded(1 / std::sqrt(x * x - 1));
    case UnaryFunction::kAsin:
      return Rounded(1 / std::sqrt(1 - x * x));
    case UnaryFunction::kAsinh:
      return Rounded(1 / std::sqrt(x * x + 1));
    case UnaryFunction::kAtan:
      return Rounded(1 / (1 + x * x));
    case UnaryFunction::kAtanh:
      return Rounded(1 / (1 - x * x));
    case UnaryFunction::kCelu:
      return x > 0 ? Exact(1) : Rounded(std::exp(x / alpha));
    case UnaryFunction::kClip:
      return Exact(x >= alpha && x <= beta ? 1 : 0);
    case UnaryFunction::kCos:
      return Rounded(-std::sin(x));
    case UnaryFunction::kCosh:
      return Rounded(std::sinh(x));
    case UnaryFunction::kElu:
      return x > 0 ? Exact(1) : Rounded(alpha * std::exp(x));
    case UnaryFunction::kErf:
      return Rounded(2 * std::numbers::inv_sqrtpi * std::exp(-x * x));
    case UnaryFunction::kExp:
      return Rounded(std::exp(x));
    case UnaryFunction::kHardSigmoid:
      return alpha * x + beta > 0 && alpha * x + beta < 1 ? Rounded(alpha) : Exact(0);
    case UnaryFunction::kHardSwish:
      if (x <= -3 || x >= 3) return Exact(x >= 3 ? 1 : 0);
      return {x / 3 + 0.5, std::abs(x / 3) + 0.5};
    case UnaryFunction::kLeakyRelu:
      return x > 0 ? Exact(1) : Rounded(alpha);
    case UnaryFunction::kLog:
      return Rounded(1 / x);
    case UnaryFunction::kMish: {
      const double gate = std::tanh(Softplus(x)), rest = x * Sigmoid(x) * (1 - gate * gate);
      return {gate + rest, std::abs(gate) + std::abs(rest)};
    }
    case UnaryFunction::kNegative:
      return Exact(-1);
    case UnaryFunction::kReciprocal:
      return Rounded(-1 / (x * x));
    case UnaryFunction::kSelu:
      return Rounded(x > 0 ? beta : beta * alpha * std::exp(x));
    case UnaryFunction::kSin:
      return Rounded(std::cos(x));
    case UnaryFunction::kSinh:
      return Rounded(std::cosh(x));
    case UnaryFunction::kSoftplus:
      return Rounded(Sigmoid(x));
    case UnaryFunction::kSoftsign:
      return Rounded(1 / ((1 + std::abs(x)) * (1 + std::abs(x))));
    case UnaryFunction::kSqrt:
      return Rounded(0.5 / std::sqrt(x));
    case UnaryFunction::kTan:
      return Rounded(1 / (std::cos(x) * std::cos(x)));
    case UnaryFunction::kThresholdedRelu:
      return Exact(x > alpha ? 1 : 0);
    default:
      break;
  }
  CHECK(false, "{} has no gradient", Name(f.function));
  return {};
}

Sum BinaryValue(BinaryFunction function, double a, double b) {
  switch (function) {
    case BinaryFunction::kAdd:
      return {a + b, std::abs(a) + std::abs(b)};
    case BinaryFunction::kSubtract:
      return {a - b, std::abs(a) + std::abs(b)};
    case BinaryFunction::kMultiply:
      return Rounded(a * b);
    case BinaryFunction::kDivide:
      return Rounded(a / b);
    case BinaryFunction::kPower:
      return Rounded(std::pow(a, b));
    case BinaryFunction::kMinimum:
      return Exact(a < b || std::isnan(a) ? a : b);
    case BinaryFunction::kMaximum:
      return Exact(a > b || std::isnan(a) ? a : b);
    case BinaryFunction::kRemainder:
      return Exact(std::fmod(a, b));
    case BinaryFunction::kModulo: {
      const double rest = std::fmod(a, b);
      return rest != 0 && (rest < 0) != (b < 0) ? Sum{rest + b, std::abs(rest) + std::abs(b)} : Exact(rest);
    }
    case BinaryFunction::kPRelu:
      return a > 0 ? Exact(a) : Rounded(a * b);
    case BinaryFunction::kEqual:
      return Truth(a == b);
    case BinaryFunction::kLess:
      return Truth(a < b);
    case BinaryFunction::kLessOrEqual:
      return Truth(a <= b);
    case BinaryFunction::kGreater:
      return Truth(a > b);
    case BinaryFunction::kGreaterOrEqual:
      return Truth(a >= b);
    case BinaryFunction::kAnd:
      return Truth(a != 0 && b != 0);
    case BinaryFunction::kOr:
      return Truth(a != 0 || b != 0);
    case BinaryFunction::kXor:
      return Truth((a != 0) != (b != 0));
    case BinaryFunction::kCount:
      break;
  }
  CHECK(false);
  return {};
}

/// The derivative by operand 0 or 1.
Sum BinarySlope(BinaryFunction function, int operand, double a, double b) {
  const bool first = operand == 0;
  switch (function) {
    case BinaryFunction::kAdd:
      return Exact(1);
    case BinaryFunction::kSubtract:
      return Exact(first ? 1 : -1);
    case BinaryFunction::kMultiply:
      return Rounded(first ? b : a);
    case BinaryFunction::kDivide:
      return Rounded(first ? 1 / b : -a / (b * b));
    case BinaryFunction::kPower: {
      if (first ? b == 0 : a == 0 && b >= 0) return Exact(0);
      const double log = std::log(std::abs(a)), slope = first ? b * std::pow(a, b - 1) : std::pow(a, b) * std::log(a);
      return {slope, std::abs(slope) * (1 + (first ? std::abs(log) * (std::abs(b) + 1) : 0))};
    }
    case BinaryFunction::kMinimum:
      return Exact(a == b ? 0.5 : first == (a < b) ? 1 : 0);
    case BinaryFunction::kMaximum:
      return Exact(a == b ? 0.5 : first == (a > b) ? 1 : 0);
    case BinaryFunction::kRemainder:
      return first ? Exact(1) : Rounded(-std::trunc(a / b));
    case BinaryFunction::kModulo:
      return first ? Exact(1) : Rounded(-std::floor(a / b));
    case BinaryFunction::kPRelu:
      if (a > 0) return Exact(first ? 1 : 0);
      return Rounded(first ? b : a);
    default:
      break;
  }
  CHECK(false, "{} has no gradient", Name(function));
  return {};
}

/// f(x), with what an error of x becomes.
Sum Through(const std::function<Sum(double)>& f, double x, double error) {
  Sum result = f(x);
  if (error == 0) return result;
  const double step = 1e-6 * std::max(std::abs(x), 1e-6);
  double slope = 0;
  for (const double beside : {x - step, x + step}) {
    const double difference = std::abs(f(beside).value - result.value) / step;
    if (!std::isnan(difference)) slope = std::max(slope, difference);
  }
  result.magnitude += slope * error;
  return result;
}

/// a b, with the errors of both.
Sum Product(const Sum& a, const Sum& b) {
  return {a.value * b.value, std::abs(a.value) * b.magnitude + std::abs(b.value) * a.magnitude};
}

using Operands = std::array<Sum, 3>;

/// One function each, by the attributes that it has.
struct Evaluator {
  OpKind kind;
  const Operands& in;

  Sum operator()(const UnaryAttributes& f) const {
    const bool gradient = kind == OpKind::kUnaryGrad;
    const Sum& x = in[gradient ? 1 : 0];
    const double error = x.magnitude + (ChoosesOnly(f.function) ? 0 : std::abs(x.value));
    if (!gradient) return Through([&](double at) { return UnaryValue(f, at); }, x.value, error);
    return Product(in[0], Through([&](double at) { return UnarySlope(f, at); }, x.value, error));
  }
  Sum operator()(const graph::BinaryAttributes& f) const {
    const auto by_a = [&](double at) { return BinaryValue(f.function, at, in[1].value); };
    const auto by_b = [&](double at) { return BinaryValue(f.function, in[0].value, at); };
    Sum sum = Through(by_a, in[0].value, in[0].magnitude);
    sum.magnitude += Through(by_b, in[1].value, in[1].magnitude).magnitude - by_b(in[1].value).magnitude;
    return sum;
  }
  Sum operator()(const graph::BinaryGradAttributes& f) const {
    const auto by_a = [&](double at) { return BinarySlope(f.function, f.operand, at, in[2].value); };
    const auto by_b = [&](double at) { return BinarySlope(f.function, f.operand, in[1].value, at); };
    Sum slope = Through(by_a, in[1].value, in[1].magnitude);
    slope.magnitude += Through(by_b, in[2].value, in[2].magnitude).magnitude - by_b(in[2].value).magnitude;
    return Product(in[0], slope);
  }
  Sum operator()(const graph::WhereAttributes&) const { return in[0].value != 0 ? in[1] : in[2]; }
  Sum operator()(graph::Activation activation) const {
    const bool gradient = kind == OpKind::kActivationGrad;
    const Sum& x = in[gradient ? 1 : 0];
    const bool chooses = activation == graph::Activation::kNone || activation == graph::Activation::kRelu;
    const double error = x.magnitude + (chooses ? 0 : std::abs(x.value));
    if (!gradient) return Activate(activation, {x.value, error});
    return Product(in[0], Through([&](double at) { return ActivationSlope(activation, at); }, x.value, x.magnitude));
  }
};

/// Where element `index` of a result of shape `result` finds its operand of shape `shape`.
size_t PlaceIn(const Shape& shape, const Shape& result, size_t index) {
  size_t place = 0, step = 1;
  for (int i = 1; i <= result.rank(); ++i) {
    const size_t at = index % static_cast<size_t>(result.dim(-i));
    index /= static_cast<size_t>(result.dim(-i));
    if (i > shape.rank() || shape.dim(-i) == 1) continue;
    place += at * step;
    step *= static_cast<size_t>(shape.dim(-i));
  }
  return place;
}

Shape BroadcastShape(const Call& call) {
  std::vector<int64_t> dims;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.Has(i)) continue;
    const Shape& shape = call.in(i).shape;
    if (static_cast<size_t>(shape.rank()) > dims.size()) dims.insert(dims.begin(), shape.rank() - dims.size(), 1);
    for (int d = 1; d <= shape.rank(); ++d) {
      int64_t& dim = dims[dims.size() - static_cast<size_t>(d)];
      dim = std::max(dim, shape.dim(-d));
    }
  }
  return Shape(std::span<const int64_t>(dims));
}

double ScalarOf(const graph::BinaryAttributes& f, size_t) { return f.scalar; }
double ScalarOf(const graph::BinaryGradAttributes& f, size_t) { return f.scalar; }
double ScalarOf(const graph::WhereAttributes& f, size_t operand) { return operand == 1 ? f.a : f.b; }
double ScalarOf(const UnaryAttributes&, size_t) { return 0; }
double ScalarOf(graph::Activation, size_t) { return 0; }

Sum Evaluate(const graph::ElementStep& step, const std::vector<Sum>& values) {
  Operands operands;
  const auto scalar = [&](size_t i) {
    return std::visit([&](const auto& f) { return ScalarOf(f, i); }, step.function);
  };
  for (size_t i = 0; i < operands.size(); ++i) {
    const int from = step.operands[i];
    operands[i] = from < 0 ? Exact(scalar(i)) : values[static_cast<size_t>(from)];
  }
  return std::visit(Evaluator{step.kind, operands}, step.function);
}

/// All steps for each element; inputs count as exact.
std::vector<Tensor> RunSteps(const Call& call, const std::vector<graph::ElementStep>& steps) {
  const Shape shape = BroadcastShape(call);
  Tensor y = Zeros(shape, 1);
  std::vector<Sum> values;
  for (size_t i = 0; i < y.data.size(); ++i) {
    values.clear();
    for (size_t k = 0; k < call.inputs.size(); ++k)
      if (call.Has(k)) values.push_back(Exact(call.in(k).data[PlaceIn(call.in(k).shape, shape, i)]));
    for (const graph::ElementStep& step : steps) values.push_back(Evaluate(step, values));
    Store(y, i, values.back());
  }
  return {y};
}

/// The op as the only step.
template <typename A>
std::vector<Tensor> RunOne(const Call& call) {
  graph::ElementStep step{.kind = call.op.kind, .function = call.op.as<A>()};
  int8_t inputs = 0;
  for (size_t i = 0; i < call.inputs.size(); ++i)
    if (call.Has(i)) step.operands[i] = inputs++;
  return RunSteps(call, {step});
}

std::vector<Tensor> Fused(const Call& call) { return RunSteps(call, call.op.as<graph::FusedAttributes>().steps); }

/// Casts to f32 leave numbers as precise as they are here: f32 is what tolerances are for.
Sum CastTo(DType type, double x) {
  if (type == DType::kI32) return Exact(std::trunc(x));
  if (type == DType::kBF16) return Exact(static_cast<double>(BFloat16::From(static_cast<float>(x)).Float()));
  return Rounded(x);
}

std::vector<Tensor> Cast(const Call& call) {
  const Tensor& x = call.in(0);
  Tensor y = Zeros(x.shape, 1);
  for (size_t i = 0; i < x.data.size(); ++i) Store(y, i, CastTo(call.op.as<graph::CastAttributes>().to, x.data[i]));
  return {y};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kUnary, .run = RunOne<UnaryAttributes>},
    {.kind = OpKind::kUnaryGrad, .run = RunOne<UnaryAttributes>},
    {.kind = OpKind::kBinary, .run = RunOne<graph::BinaryAttributes>},
    {.kind = OpKind::kBinaryGrad, .run = RunOne<graph::BinaryGradAttributes>},
    {.kind = OpKind::kWhere, .run = RunOne<graph::WhereAttributes>},
    {.kind = OpKind::kCast, .run = Cast},
    {.kind = OpKind::kFusedElementwise, .run = Fused},
};

}  // namespace

std::span<const OpFunction> TensorElementwiseRows() { return kRows; }

}  // namespace lockstep::reference
