// Cases of elementwise tensor ops: every function over its domain, and every way of broadcasting.
#include <fmt/format.h>

#include <limits>

#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::Activation;
using graph::BinaryAttributes;
using graph::BinaryFunction;
using graph::BinaryGradAttributes;
using graph::ElementStep;
using graph::FusedAttributes;
using graph::OpKind;
using graph::UnaryAttributes;
using graph::UnaryFunction;
using graph::WhereAttributes;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Operand Uniform(Shape shape) { return {.fill = Fill::kPositive, .shape = shape}; }

/// Parameters that each function gets, all of few bits: bf16 has them too.
UnaryAttributes With(UnaryFunction function) {
  switch (function) {
    case UnaryFunction::kCelu:
      return {function, 1.5f};
    case UnaryFunction::kClip:
      return {function, -0.5f, 1.25f};
    case UnaryFunction::kElu:
    case UnaryFunction::kThresholdedRelu:
      return {function, 0.75f};
    case UnaryFunction::kHardSigmoid:
      return {function, 0.25f, 0.5f};
    case UnaryFunction::kLeakyRelu:
      return {function, 0.125f};
    case UnaryFunction::kSelu:
      return {function, 1.67326f, 1.0507f};
    default:
      return {function};
  }
}

/// A random operand of the function's domain.
Operand DomainOf(UnaryFunction function, const Shape& shape) {
  switch (function) {
    case UnaryFunction::kAcos:
    case UnaryFunction::kAsin:
    case UnaryFunction::kAtanh:
      return Uniform(shape).Scaled(1, -1.05);
    case UnaryFunction::kAcosh:
      return Uniform(shape).Scaled(3, 1);
    case UnaryFunction::kLog:
    case UnaryFunction::kSqrt:
      return Uniform(shape).Scaled(4, 0.01);
    case UnaryFunction::kTan:
      return Uniform(shape).Scaled(1.4, -1.4);
    default:
      return F(shape).Scaled(3);
  }
}

bool IsPositive(BinaryFunction function) {
  return function == BinaryFunction::kPower || function == BinaryFunction::kRemainder ||
         function == BinaryFunction::kModulo || function == BinaryFunction::kDivide;
}
/// The first or second operand of the function.
Operand SideOf(BinaryFunction function, const Shape& shape, int side) {
  if (IsPositive(function)) return Uniform(shape).Scaled(side == 0 ? 2 : 1, 0.1);
  return function >= BinaryFunction::kEqual ? Steps(shape) : F(shape);
}

template <typename Function>
std::vector<Function> All() {
  std::vector<Function> all;
  for (int i = 0; i < static_cast<int>(Function::kCount); ++i) all.push_back(static_cast<Function>(i));
  return all;
}

struct BroadcastGeometry {
  std::string name;
  Shape a, b;
};
const std::vector<BroadcastGeometry> kBroadcasts = {{"same shape", {3, 5, 7}, {3, 5, 7}},
                                                    {"last dimension", {4, 9, 24}, {24}},
                                                    {"short last dimension", {37, 3}, {3}},
                                                    {"long last dimension", {3, 1030}, {1030}},
                                                    {"vector before", {17}, {5, 17}},
                                                    {"channels first", {2, 5, 3, 4}, {1, 5, 1, 1}},
                                                    {"gates", {3, 4, 5, 8}, {3, 1, 1, 8}},
                                                    {"column", {33, 17}, {33, 1}},
                                                    {"outer", {7, 1}, {1, 12}},
                                                    {"both ways", {2, 1, 3, 1, 5}, {4, 1, 2, 1}},
                                                    {"table", {3, 8, 16}, {1, 8, 16}},
                                                    {"one number", {6, 11}, {1}},
                                                    {"six dimensions", {2, 1, 3, 1, 2, 1}, {1, 2, 1, 3, 1, 4}},
                                                    {"one and one", {1, 1}, {1}},
                                                    {"many", {3, 4099, 4}, {4099, 1}}};
const std::vector<BroadcastGeometry> kSame = {
    {"same shape", {3, 5, 7}, {3, 5, 7}}, {"last dimension", {4, 9, 24}, {24}}, {"both ways", {2, 1, 3}, {5, 1}}};

Shape ResultOfBoth(const BroadcastGeometry& g) {
  std::vector<int64_t> dims;
  for (int i = std::max(g.a.rank(), g.b.rank()); i >= 1; --i)
    dims.push_back(std::max(i <= g.a.rank() ? g.a.dim(-i) : 1, i <= g.b.rank() ? g.b.dim(-i) : 1));
  return Shape(std::span<const int64_t>(dims));
}

/// A step of a fused op.
template <typename Function>
ElementStep StepOf(OpKind kind, const Function& function, std::array<int8_t, 3> operands) {
  return {.kind = kind, .function = function, .operands = operands};
}
constexpr int8_t kScalar = ElementStep::kScalar;

/// GELU by erf, as exporters write it.
FusedAttributes Gelu() {
  return {1,
          {StepOf(OpKind::kBinary, BinaryAttributes{BinaryFunction::kDivide, 1.41421354f}, {0, kScalar, kScalar}),
           StepOf(OpKind::kUnary, UnaryAttributes{UnaryFunction::kErf}, {1, kScalar, kScalar}),
           StepOf(OpKind::kBinary, BinaryAttributes{BinaryFunction::kAdd, 1}, {2, kScalar, kScalar}),
           StepOf(OpKind::kBinary, BinaryAttributes{BinaryFunction::kMultiply}, {0, 3, kScalar}),
           StepOf(OpKind::kBinary, BinaryAttributes{BinaryFunction::kMultiply, 0.5f}, {4, kScalar, kScalar})}};
}
/// in0 sigmoid(in0) + in1, chosen by in2, with the gradient of a tanh.
FusedAttributes Tree() {
  return {3,
          {StepOf(OpKind::kActivation, Activation::kSigmoid, {0, kScalar, kScalar}),
           StepOf(OpKind::kBinary, BinaryAttributes{BinaryFunction::kMultiply}, {0, 3, kScalar}),
           StepOf(OpKind::kBinary, BinaryAttributes{BinaryFunction::kAdd}, {4, 1, kScalar}),
           StepOf(OpKind::kWhere, WhereAttributes{0, -0.5f}, {2, 5, kScalar}),
           StepOf(OpKind::kUnary, UnaryAttributes{UnaryFunction::kSoftsign}, {6, kScalar, kScalar}),
           StepOf(OpKind::kActivationGrad, Activation::kTanh, {7, 1, kScalar}),
           StepOf(OpKind::kUnaryGrad, UnaryAttributes{UnaryFunction::kSin}, {8, 0, kScalar}),
           StepOf(OpKind::kBinaryGrad, BinaryGradAttributes{BinaryFunction::kDivide, 0, 0}, {9, 0, 1})}};
}
/// The most that there may be: 8 inputs, 16 steps, each of which reads the one before.
FusedAttributes Longest() {
  FusedAttributes attributes{8, {}};
  for (int8_t i = 0; i < 16; ++i) {
    const auto before = static_cast<int8_t>(i == 0 ? 0 : 7 + i);
    attributes.steps.push_back(StepOf(
        OpKind::kBinary, BinaryAttributes{i % 2 == 0 ? BinaryFunction::kAdd : BinaryFunction::kSubtract, 0.25f * i},
        {before, i < 8 ? i : kScalar, kScalar}));
  }
  return attributes;
}

}  // namespace

std::vector<OpCase> UnaryCases() {
  std::vector<OpCase> cases;
  for (const UnaryFunction f : All<UnaryFunction>()) {
    cases.push_back({Name(f), {DomainOf(f, {17, 33})}, With(f)});
    cases.push_back({fmt::format("{}, one", Name(f)), {DomainOf(f, {1})}, With(f)});
  }
  for (const UnaryFunction f : {UnaryFunction::kErf, UnaryFunction::kHardSwish, UnaryFunction::kRound})
    cases.push_back({fmt::format("{}, many", Name(f)), {DomainOf(f, {3, 12001})}, With(f)});
  for (const UnaryFunction f : {UnaryFunction::kErf, UnaryFunction::kElu, UnaryFunction::kSoftplus,
                                UnaryFunction::kMish, UnaryFunction::kSin, UnaryFunction::kAsinh})
    for (const double scale : {1e-4, 40.0})
      cases.push_back({fmt::format("{}, scale {}", Name(f), scale), {F({257}).Scaled(scale)}, With(f)});
  cases.push_back({"half to even", {Steps({99}).Scaled(7)}, With(UnaryFunction::kRound)});
  cases.push_back({"zeros", {Steps({99})}, With(UnaryFunction::kNot)});
  cases.push_back({"no upper bound", {F({99})}, UnaryAttributes{UnaryFunction::kClip, 0, kInfinity}});
  return cases;
}

std::vector<OpCase> UnaryGradCases() {
  std::vector<OpCase> cases;
  for (const UnaryFunction f : All<UnaryFunction>())
    if (HasGradient(f)) cases.push_back({Name(f), {F({9, 37}), DomainOf(f, {9, 37})}, With(f)});
  for (const UnaryFunction f : {UnaryFunction::kAbs, UnaryFunction::kLeakyRelu, UnaryFunction::kThresholdedRelu})
    cases.push_back({fmt::format("{} at its kink", Name(f)), {F({99}), Steps({99})}, With(f)});
  return cases;
}

std::vector<OpCase> BinaryCases() {
  std::vector<OpCase> cases;
  for (const BinaryFunction f : All<BinaryFunction>()) {
    for (const BroadcastGeometry& g : kSame)
      cases.push_back(
          {fmt::format("{}, {}", Name(f), g.name), {SideOf(f, g.a, 0), SideOf(f, g.b, 1)}, BinaryAttributes{f}});
    cases.push_back(
        {fmt::format("{}, scalar b", Name(f)), {SideOf(f, {5, 9}, 0), Absent()}, BinaryAttributes{f, 0.75f}});
    cases.push_back(
        {fmt::format("{}, scalar a", Name(f)), {Absent(), SideOf(f, {5, 9}, 1)}, BinaryAttributes{f, 0.75f}});
  }
  for (const BroadcastGeometry& g : kBroadcasts)
    cases.push_back({g.name, {F(g.a), F(g.b)}, BinaryAttributes{BinaryFunction::kMultiply}});
  cases.push_back(
      {"scaled by a parameter", {F({3, 5, 16}), Weight({16})}, BinaryAttributes{BinaryFunction::kMultiply}});
  for (const float exponent : {2.0f, 3.0f, 0.5f, -1.0f, 1.0f})
    cases.push_back({fmt::format("to the power {}", exponent),
                     {Uniform({77}), Absent()},
                     BinaryAttributes{BinaryFunction::kPower, exponent}});
  cases.push_back({"negative base", {F({77}), Absent()}, BinaryAttributes{BinaryFunction::kPower, 5}});
  return cases;
}

std::vector<OpCase> BinaryGradCases() {
  std::vector<OpCase> cases;
  for (const BinaryFunction f : All<BinaryFunction>()) {
    if (!HasGradient(f)) continue;
    for (const int operand : {0, 1})
      for (const BroadcastGeometry& g : kSame)
        cases.push_back({fmt::format("{} by {}, {}", Name(f), operand, g.name),
                         {F(ResultOfBoth(g)), SideOf(f, g.a, 0), SideOf(f, g.b, 1)},
                         BinaryGradAttributes{f, 0, operand}});
    cases.push_back({fmt::format("{}, scalar b", Name(f)),
                     {F({5, 9}), SideOf(f, {5, 9}, 0), Absent()},
                     BinaryGradAttributes{f, 0.75f, 0}});
    cases.push_back({fmt::format("{}, scalar a", Name(f)),
                     {F({5, 9}), Absent(), SideOf(f, {5, 9}, 1)},
                     BinaryGradAttributes{f, 0.75f, 1}});
  }
  for (const BinaryFunction f : {BinaryFunction::kMinimum, BinaryFunction::kMaximum, BinaryFunction::kPRelu})
    for (const int operand : {0, 1})
      cases.push_back({fmt::format("{} by {}, ties", Name(f), operand),
                       {F({99}), Steps({99}), Steps({99})},
                       BinaryGradAttributes{f, 0, operand}});
  for (const float exponent : {2.0f, 3.0f, 0.0f})
    cases.push_back({fmt::format("to the power {}", exponent),
                     {F({77}), F({77}), Absent()},
                     BinaryGradAttributes{BinaryFunction::kPower, exponent, 0}});
  cases.push_back({"of a parameter",
                   {F({3, 5, 16}), F({3, 5, 16}), Weight({16})},
                   BinaryGradAttributes{BinaryFunction::kMultiply, 0, 1}});
  return cases;
}

std::vector<OpCase> WhereCases() {
  std::vector<OpCase> cases;
  for (const BroadcastGeometry& g : kBroadcasts)
    cases.push_back({g.name, {Mask(g.b), F(g.a), F(ResultOfBoth(g))}, WhereAttributes{}});
  cases.push_back({"scalar b", {Mask({5, 1}), F({5, 9}), Absent()}, WhereAttributes{0, -2}});
  cases.push_back({"scalar a", {Steps({9}), Absent(), F({5, 9})}, WhereAttributes{3, 0}});
  cases.push_back({"scalars", {Steps({9}), Absent(), Absent()}, WhereAttributes{3, -2}});
  return cases;
}

std::vector<OpCase> CastCases() {
  return {{"integers to floats", {Ids({4, 9}, 1000)}, graph::CastAttributes{DType::kF32}},
          {"integers to bf16", {Ids({4, 9}, 1000)}, graph::CastAttributes{DType::kBF16}},
          {"integers to integers", {Ids({4, 9}, 1000)}, graph::CastAttributes{DType::kI32}},
          {"floats to integers", {F({7, 11}).Scaled(50)}, graph::CastAttributes{DType::kI32}},
          {"to bf16", {F({5, 13})}, graph::CastAttributes{DType::kBF16}},
          {"to floats", {F({5, 1013})}, graph::CastAttributes{DType::kF32}}};
}

std::vector<OpCase> FusedElementwiseCases() {
  const std::vector<Operand> eight = {F({5, 9}), F({9}), F({5, 1}), F({5, 9}), F({1}), F({5, 9}), F({1, 9}), F({9})};
  return {{"gelu", {F({17, 33})}, Gelu()},
          {"gelu, many", {F({3, 12001})}, Gelu()},
          {"tree", {F({6, 40}), Uniform({40}), Mask({6, 40})}, Tree()},
          {"tree, one", {F({1}), Uniform({1}), Mask({1})}, Tree()},
          {"tree with integers", {F({4, 6}), Uniform({4, 6}), Ids({6}, 2)}, Tree()},
          {"longest", eight, Longest()}};
}

}  // namespace lockstep::conformance
