// Shape inference and folding of operators that work on each element by itself.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "trainer/onnx/fold/fold.h"

namespace lockstep::onnx {
namespace {

void InferSame(Step& step) { step.outputs.at(0) = Known{step.In(0).type, step.DimsOf(0)}; }

void InferTruth(Step& step) { step.outputs.at(0) = Known{TensorProto::BOOL, step.DimsOf(0)}; }

Dims BroadcastAll(const Step& step) {
  Dims dims = step.DimsOf(0);
  for (size_t i = 1; i < step.inputs(); ++i) dims = Broadcast(dims, step.DimsOf(i));
  return dims;
}

void InferBroadcast(Step& step) { step.outputs.at(0) = Known{step.In(0).type, BroadcastAll(step)}; }
void InferComparison(Step& step) { step.outputs.at(0) = Known{TensorProto::BOOL, BroadcastAll(step)}; }

void InferWhere(Step& step) { step.outputs.at(0) = Known{step.In(1).type, BroadcastAll(step)}; }

void InferCast(Step& step) {
  step.outputs.at(0) = Known{static_cast<int>(step.attributes.Int("to", 0)), step.DimsOf(0)};
}

/// Of the second input the type alone counts, so that a constant stays one.
void InferCastLike(Step& step) {
  Known& result = step.outputs.at(0);
  result = Known{step.In(1).type, step.DimsOf(0)};
  if (step.In(0).constant == nullptr) return;
  Tensor tensor{result.type, result.dims, {}};
  for (const double value : step.In(0).constant->values) tensor.values.push_back(RoundTo(result.type, value));
  result.constant = std::make_shared<const Tensor>(std::move(tensor));
}

/// y and, where it is wanted, the mask of those that stay.
void InferDropout(Step& step) {
  InferSame(step);
  if (step.outputs.size() > 1) step.outputs[1] = Known{TensorProto::BOOL, step.DimsOf(0)};
}

/// Where in an operand of `dims` lies what belongs to `index` of the broadcast result.
int64_t BroadcastOffset(const Dims& dims, const Dims& strides, const Dims& index) {
  int64_t offset = 0;
  const size_t skip = index.size() - dims.size();
  for (size_t d = 0; d < dims.size(); ++d) offset += dims[d] == 1 ? 0 : index[skip + d] * strides[d];
  return offset;
}

template <typename Function>
void EvaluateUnary(const Step& step, Tensor& result, const Function& function) {
  for (const double x : step.Constant(0).values) result.values.push_back(RoundTo(result.type, function(x)));
}

template <double (*kFunction)(double)>
void Unary(const Step& step, Tensor& result) {
  EvaluateUnary(step, result, kFunction);
}

/// Folds all operands from the left, as the variadic Max, Min and Sum want it.
template <double (*kFunction)(double, double)>
void Binary(const Step& step, Tensor& result) {
  std::vector<Dims> strides;
  for (size_t i = 0; i < step.inputs(); ++i) strides.push_back(StridesOf(step.DimsOf(i)));
  const auto at = [&](size_t i, const Dims& index) {
    return step.Constant(i).values[static_cast<size_t>(BroadcastOffset(step.DimsOf(i), strides[i], index))];
  };
  ForEachIndex(result.dims, [&](const Dims& index) {
    double value = at(0, index);
    for (size_t i = 1; i < step.inputs(); ++i) value = RoundTo(result.type, kFunction(value, at(i, index)));
    result.values.push_back(RoundTo(result.type, value));
  });
}

double Add(double a, double b) { return a + b; }
double Subtract(double a, double b) { return a - b; }
double Multiply(double a, double b) { return a * b; }
double Power(double a, double b) { return std::pow(a, b); }
double Largest(double a, double b) { return std::max(a, b); }
double Smallest(double a, double b) { return std::min(a, b); }
double Equals(double a, double b) { return a == b ? 1 : 0; }
double IsLess(double a, double b) { return a < b ? 1 : 0; }
double IsLessOrEqual(double a, double b) { return a <= b ? 1 : 0; }
double IsGreater(double a, double b) { return a > b ? 1 : 0; }
double IsGreaterOrEqual(double a, double b) { return a >= b ? 1 : 0; }
double Both(double a, double b) { return a != 0 && b != 0 ? 1 : 0; }
double Either(double a, double b) { return a != 0 || b != 0 ? 1 : 0; }
double OneOfTwo(double a, double b) { return (a != 0) != (b != 0) ? 1 : 0; }
double Divide(double a, double b) { return a / b; }
double FloorModulo(double a, double b) { return a - std::floor(a / b) * b; }
double TruncatedModulo(double a, double b) { return std::fmod(a, b); }

double Identity(double x) { return x; }
double Absolute(double x) { return std::abs(x); }
double Negative(double x) { return -x; }
double Not(double x) { return x != 0 ? 0 : 1; }
double SquareRoot(double x) { return std::sqrt(x); }
double Reciprocal(double x) { return 1 / x; }
double Floor(double x) { return std::floor(x); }
double Ceiling(double x) { return std::ceil(x); }
double HalfToEven(double x) { return std::nearbyint(x); }
double Exponential(double x) { return std::exp(x); }
double Logarithm(double x) { return std::log(x); }
double Sine(double x) { return std::sin(x); }
double Cosine(double x) { return std::cos(x); }
double HyperbolicTangent(double x) { return std::tanh(x); }
double ErrorFunction(double x) { return std::erf(x); }
double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Rectified(double x) { return std::max(x, 0.0); }
double Sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
double IsNan(double x) { return std::isnan(x) ? 1 : 0; }

void Division(const Step& step, Tensor& result) {
  if (IsIntegerType(result.type) &&
      std::any_of(step.Constant(1).values.begin(), step.Constant(1).values.end(), [](double b) { return b == 0; }))
    throw Unsupported("a division of integers by zero");
  Binary<Divide>(step, result);
}

void Modulo(const Step& step, Tensor& result) {
  if (step.attributes.Int("fmod", 0) != 0)
    Binary<TruncatedModulo>(step, result);
  else
    Binary<FloorModulo>(step, result);
}

void Select(const Step& step, Tensor& result) {
  std::vector<Dims> strides;
  for (size_t i = 0; i < 3; ++i) strides.push_back(StridesOf(step.DimsOf(i)));
  const auto at = [&](size_t i, const Dims& index) {
    return step.Constant(i).values[static_cast<size_t>(BroadcastOffset(step.DimsOf(i), strides[i], index))];
  };
  ForEachIndex(result.dims,
               [&](const Dims& index) { result.values.push_back(at(0, index) != 0 ? at(1, index) : at(2, index)); });
}

void Convert(const Step& step, Tensor& result) { EvaluateUnary(step, result, Identity); }

void Clip(const Step& step, Tensor& result) {
  const double least = step.Has(1) ? step.Scalar(1) : -std::numeric_limits<double>::infinity();
  const double most = step.Has(2) ? step.Scalar(2) : std::numeric_limits<double>::infinity();
  EvaluateUnary(step, result, [&](double x) { return std::min(std::max(x, least), most); });
}

}  // namespace

OpRules ElementwiseRules() {
  OpRules rules = {
      {"Abs", {InferSame, Unary<Absolute>}},
      {"Add", {InferBroadcast, Binary<Add>}},
      {"And", {InferComparison, Binary<Both>}},
      {"Cast", {InferCast, Convert}},
      {"CastLike", {InferCastLike, nullptr}},
      {"Ceil", {InferSame, Unary<Ceiling>}},
      {"Clip", {InferSame, Clip}},
      {"Cos", {InferSame, Unary<Cosine>}},
      {"Div", {InferBroadcast, Division}},
      {"Dropout", {InferDropout, nullptr}},
      {"Equal", {InferComparison, Binary<Equals>}},
      {"Erf", {InferSame, Unary<ErrorFunction>}},
      {"Exp", {InferSame, Unary<Exponential>}},
      {"Floor", {InferSame, Unary<Floor>}},
      {"Greater", {InferComparison, Binary<IsGreater>}},
      {"GreaterOrEqual", {InferComparison, Binary<IsGreaterOrEqual>}},
      {"Identity", {InferSame, Unary<Identity>}},
      {"IsNaN", {InferTruth, Unary<IsNan>}},
      {"IsInf", {InferTruth, nullptr}},
      {"Less", {InferComparison, Binary<IsLess>}},
      {"LessOrEqual", {InferComparison, Binary<IsLessOrEqual>}},
      {"Log", {InferSame, Unary<Logarithm>}},
      {"Max", {InferBroadcast, Binary<Largest>}},
      {"Mean", {InferBroadcast, nullptr}},
      {"Min", {InferBroadcast, Binary<Smallest>}},
      {"Mod", {InferBroadcast, Modulo}},
      {"Mul", {InferBroadcast, Binary<Multiply>}},
      {"Neg", {InferSame, Unary<Negative>}},
      {"Not", {InferTruth, Unary<Not>}},
      {"Or", {InferComparison, Binary<Either>}},
      {"PRelu", {InferBroadcast, nullptr}},
      {"Pow", {InferBroadcast, Binary<Power>}},
      {"Reciprocal", {InferSame, Unary<Reciprocal>}},
      {"Relu", {InferSame, Unary<Rectified>}},
      {"Round", {InferSame, Unary<HalfToEven>}},
      {"Sigmoid", {InferSame, Unary<Sigmoid>}},
      {"Sign", {InferSame, Unary<Sign>}},
      {"Sin", {InferSame, Unary<Sine>}},
      {"Sqrt", {InferSame, Unary<SquareRoot>}},
      {"Sub", {InferBroadcast, Binary<Subtract>}},
      {"Sum", {InferBroadcast, Binary<Add>}},
      {"Tanh", {InferSame, Unary<HyperbolicTangent>}},
      {"Where", {InferWhere, Select}},
      {"Xor", {InferComparison, Binary<OneOfTwo>}},
  };
  for (const char* op : {"Acos",
                         "Acosh",
                         "Asin",
                         "Asinh",
                         "Atan",
                         "Atanh",
                         "Celu",
                         "Cosh",
                         "Elu",
                         "Gelu",
                         "HardSigmoid",
                         "HardSwish",
                         "LeakyRelu",
                         "LogSoftmax",
                         "Mish",
                         "Selu",
                         "Sinh",
                         "Softmax",
                         "Softplus",
                         "Softsign",
                         "Swish",
                         "Tan",
                         "ThresholdedRelu",
                         "RotaryEmbedding",
                         "LpNormalization",
                         "LRN",
                         "MeanVarianceNormalization",
                         "Shrink"})
    rules[op] = {InferSame, nullptr};
  // Random numbers in the shape of x; the type is x's unless it is said.
  for (const char* op : {"RandomUniformLike", "RandomNormalLike", "Bernoulli"})
    rules[op] = {[](Step& step) {
                   InferSame(step);
                   step.outputs[0].type = static_cast<int>(step.attributes.Int("dtype", step.outputs[0].type));
                 },
                 nullptr};
  return rules;
}

}  // namespace lockstep::onnx
