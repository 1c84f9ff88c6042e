// Activations and norms that were written out in elementary functions, as exporters of other frameworks do.
//
// A pattern is found from its last product: its factors are what products and quotients by scalars lead to, and one
// scalar. Which order they were multiplied in decides nothing.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::BinaryFunction;
using graph::Graph;
using graph::kNoValue;
using graph::Op;
using graph::OpKind;
using graph::UnaryFunction;
using graph::ValueId;

/// Constants may be written with four digits.
bool Near(double value, double expected) { return std::abs(value - expected) <= 2e-5 * std::abs(expected); }

struct Factors {
  double scalar = 1;
  std::vector<ValueId> values;
  std::vector<ValueId> divisors;
};

/// A value plus a scalar.
struct Shifted {
  ValueId value = kNoValue;
  double scalar = 0;
};

class Recogniser {
 public:
  explicit Recogniser(const Graph& graph) : graph_(graph), writer_(graph.values.size(), nullptr) {
    for (const Op& op : graph.ops)
      if (op.outputs[0] != kNoValue) writer_[static_cast<size_t>(op.outputs[0])] = &op;
  }

  /// `op` as one op, where it ends a pattern; without its results.
  std::optional<Op> Recognise(const Op& op) const {
    if (!IsFunction(op, BinaryFunction::kMultiply) && !IsFunction(op, BinaryFunction::kDivide)) return std::nullopt;
    std::optional<Op> recognised = AsActivation(op.outputs[0]);
    if (!recognised) recognised = AsRmsNorm(op.outputs[0]);
    if (recognised) recognised->name = op.name;
    return recognised;
  }

 private:
  const Op* WriterOf(ValueId id) const { return id == kNoValue ? nullptr : writer_[static_cast<size_t>(id)]; }
  static bool IsFunction(const Op& op, BinaryFunction function) {
    return op.kind == OpKind::kBinary && op.as<graph::BinaryAttributes>().function == function;
  }
  /// What the function was applied to; kNoValue: `id` is no result of it.
  ValueId UnaryOperand(ValueId id, UnaryFunction function) const {
    const Op* const op = WriterOf(id);
    const bool found =
        op != nullptr && op->kind == OpKind::kUnary && op->as<graph::UnaryAttributes>().function == function;
    return found ? op->inputs[0] : kNoValue;
  }
  ValueId ActivationOperand(ValueId id, Activation activation) const {
    const Op* const op = WriterOf(id);
    const bool found = op != nullptr && op->kind == OpKind::kActivation &&
                       op->as<graph::ActivationAttributes>().activation == activation;
    return found ? op->inputs[0] : kNoValue;
  }

  /// Factors of `id`, where `whole` and what is no product is a factor itself.
  Factors FactorsOf(ValueId id, ValueId whole = kNoValue) const {
    Factors factors;
    Collect(id, whole, factors);
    return factors;
  }
  void Collect(ValueId id, ValueId whole, Factors& factors) const {
    const Op* const op = WriterOf(id);
    const bool product = op != nullptr && id != whole && IsFunction(*op, BinaryFunction::kMultiply);
    const bool quotient =
        op != nullptr && id != whole && IsFunction(*op, BinaryFunction::kDivide) && op->inputs[1] == kNoValue;
    const int power = id == whole ? 0 : PowerOf(op);
    if (power > 0) {
      factors.values.insert(factors.values.end(), static_cast<size_t>(power), op->inputs[0]);
    } else if (op != nullptr && id != whole && IsFunction(*op, BinaryFunction::kDivide) && op->inputs[0] != kNoValue &&
               op->inputs[1] != kNoValue) {
      Collect(op->inputs[0], whole, factors);
      factors.divisors.push_back(op->inputs[1]);
    } else if (product || quotient) {
      const double scalar = op->as<graph::BinaryAttributes>().scalar;
      for (const ValueId input : op->inputs) {
        if (input != kNoValue) Collect(input, whole, factors);
        if (input == kNoValue) factors.scalar *= product ? scalar : 1 / scalar;
      }
    } else {
      factors.values.push_back(id);
    }
  }
  /// 2 or 3 where the op is that power of its operand, else 0.
  static int PowerOf(const Op* op) {
    if (op == nullptr || !IsFunction(*op, BinaryFunction::kPower) || op->inputs[1] != kNoValue) return 0;
    const float power = op->as<graph::BinaryAttributes>().scalar;
    return power == 2 || power == 3 ? static_cast<int>(power) : 0;
  }
  static bool AreExactly(const Factors& factors, std::vector<ValueId> expected) {
    std::vector<ValueId> values = factors.values;
    std::ranges::sort(values);
    std::ranges::sort(expected);
    return values == expected && factors.divisors.empty();
  }

  /// `id` as a sum with a scalar.
  Shifted ShiftOf(ValueId id) const {
    const Op* const op = WriterOf(id);
    if (op == nullptr || !IsFunction(*op, BinaryFunction::kAdd)) return {};
    const double scalar = op->as<graph::BinaryAttributes>().scalar;
    if (op->inputs[0] == kNoValue) return {op->inputs[1], scalar};
    return op->inputs[1] == kNoValue ? Shifted{op->inputs[0], scalar} : Shifted{};
  }

  static Op ActivationOf(Activation activation, ValueId x) {
    return {.kind = OpKind::kActivation,
            .inputs = {x},
            .outputs = {},
            .attributes = graph::ActivationAttributes{activation},
            .name = {}};
  }
  std::optional<Op> AsActivation(ValueId id) const {
    for (const ValueId factor : FactorsOf(id).values) {
      if (const ValueId x = ActivationOperand(factor, Activation::kSigmoid); x != kNoValue && IsSilu(id, factor, x))
        return ActivationOf(Activation::kSilu, x);
      const Shifted shifted = ShiftOf(factor);
      if (shifted.scalar != 1) continue;
      if (const ValueId x = OperandOfErf(shifted.value); x != kNoValue && IsHalfOf(id, factor, x))
        return ActivationOf(Activation::kGelu, x);
      if (const ValueId x = OperandOfTanh(shifted.value); x != kNoValue && IsHalfOf(id, factor, x))
        return ActivationOf(Activation::kGeluTanh, x);
    }
    return std::nullopt;
  }
  bool IsSilu(ValueId id, ValueId gate, ValueId x) const {
    const Factors factors = FactorsOf(id, x);
    return factors.scalar == 1 && AreExactly(factors, {x, gate});
  }
  bool IsHalfOf(ValueId id, ValueId gate, ValueId x) const {
    const Factors factors = FactorsOf(id, x);
    return Near(factors.scalar, 0.5) && AreExactly(factors, {x, gate});
  }

  /// x weight / sqrt(mean(x^2) + epsilon), of a weight [c].
  std::optional<Op> AsRmsNorm(ValueId id) const {
    const Factors factors = FactorsOf(id);
    std::vector<ValueId> roots = factors.divisors;
    for (const ValueId value : factors.values) roots.push_back(UnaryOperand(value, UnaryFunction::kReciprocal));
    for (const ValueId root : roots) {
      const Shifted shifted = ShiftOf(UnaryOperand(root, UnaryFunction::kSqrt));
      const ValueId x = OperandOfMeanSquare(shifted.value);
      if (x == kNoValue) continue;
      Factors left = FactorsOf(id, x);
      std::erase(left.divisors, root);
      std::erase_if(left.values,
                    [&](ValueId value) { return UnaryOperand(value, UnaryFunction::kReciprocal) == root; });
      const auto weight = std::ranges::find_if(left.values, [&](ValueId value) { return IsWeight(value, x); });
      if (weight == left.values.end() || left.scalar != 1 || !AreExactly(left, {x, *weight})) continue;
      const graph::NormAttributes attributes{.epsilon = static_cast<float>(shifted.scalar),
                                             .activation = Activation::kNone};
      return Op{.kind = OpKind::kRmsNorm, .inputs = {x, *weight}, .outputs = {}, .attributes = attributes, .name = {}};
    }
    return std::nullopt;
  }
  bool IsWeight(ValueId id, ValueId x) const {
    return graph_.value(id).role == graph::Role::kParameter &&
           graph_.value(id).shape == Shape{graph_.value(x).shape.dim(-1)};
  }
  /// x of mean(x^2) over the last dimension, which stays.
  ValueId OperandOfMeanSquare(ValueId id) const {
    const Op* const mean = WriterOf(id);
    if (mean == nullptr || mean->kind != OpKind::kReduce) return kNoValue;
    const auto& attributes = mean->as<graph::ReduceAttributes>();
    const int last = graph_.value(mean->inputs[0]).shape.rank() - 1;
    if (attributes.function != graph::ReduceFunction::kMean || attributes.axes != 1u << last || !attributes.keep)
      return kNoValue;
    const Op* const square = WriterOf(mean->inputs[0]);
    if (square == nullptr || square->kind != OpKind::kBinary) return kNoValue;
    const ValueId x = square->inputs[0];
    return x != kNoValue && AreExactly(FactorsOf(mean->inputs[0], x), {x, x}) ? x : kNoValue;
  }

  /// x of erf(x / sqrt 2).
  ValueId OperandOfErf(ValueId id) const {
    const ValueId argument = UnaryOperand(id, UnaryFunction::kErf);
    return argument == kNoValue ? kNoValue : ScaledBy(argument, std::numbers::sqrt2 / 2);
  }
  /// x of tanh(sqrt(2 / pi) (x + 0.044715 x^3)), also where x stands before the bracket.
  ValueId OperandOfTanh(ValueId id) const {
    const ValueId argument = ActivationOperand(id, Activation::kTanh);
    if (argument == kNoValue) return kNoValue;
    const Factors factors = FactorsOf(argument);
    if (!Near(factors.scalar, std::sqrt(2 * std::numbers::inv_pi))) return kNoValue;
    if (factors.values.size() == 1) return OperandOfCubic(factors.values[0]);
    for (const ValueId bracket : factors.values) {
      const Shifted shifted = ShiftOf(bracket);
      if (shifted.scalar != 1) continue;
      for (const ValueId x : factors.values) {
        const Factors square = FactorsOf(shifted.value, x);
        if (Near(square.scalar, 0.044715) && AreExactly(square, {x, x}) && AreExactly(factors, {x, bracket})) return x;
      }
    }
    return kNoValue;
  }
  /// x of x + 0.044715 x^3.
  ValueId OperandOfCubic(ValueId id) const {
    const Op* const sum = WriterOf(id);
    const bool plain = sum != nullptr && sum->kind == OpKind::kAdd &&
                       sum->as<graph::ActivationAttributes>().activation == Activation::kNone;
    if (sum == nullptr || (!plain && !IsFunction(*sum, BinaryFunction::kAdd))) return kNoValue;
    for (const size_t side : {size_t{0}, size_t{1}}) {
      const ValueId x = sum->inputs[side], cubic = sum->inputs[1 - side];
      if (x == kNoValue || cubic == kNoValue) return kNoValue;
      const Factors factors = FactorsOf(cubic, x);
      if (Near(factors.scalar, 0.044715) && AreExactly(factors, {x, x, x})) return x;
    }
    return kNoValue;
  }
  /// x where `id` is x times `scalar`: the value that a last product or quotient by a scalar was made of.
  ValueId ScaledBy(ValueId id, double scalar) const {
    const Op* const op = WriterOf(id);
    if (op == nullptr || op->kind != OpKind::kBinary) return kNoValue;
    const double by = op->as<graph::BinaryAttributes>().scalar;
    const ValueId a = op->inputs[0], b = op->inputs[1];
    if (a != kNoValue && b != kNoValue) return kNoValue;
    if (IsFunction(*op, BinaryFunction::kMultiply) && Near(by, scalar)) return a == kNoValue ? b : a;
    return IsFunction(*op, BinaryFunction::kDivide) && Near(1 / by, scalar) ? a : kNoValue;
  }

  const Graph& graph_;
  std::vector<const Op*> writer_;  ///< of a value that is an op's first result
};

/// Without the ops whose results were read in `before`, and now are not.
Graph WithoutLeftovers(const Graph& before, Graph graph) {
  const std::vector<int> readers_before = CountReaders(before);
  std::vector<int> readers = CountReaders(graph);
  std::vector<Op> left;
  for (size_t i = graph.ops.size(); i-- > 0;) {
    Op& op = graph.ops[i];
    const auto counts = [&](const std::vector<int>& of) {
      int count = 0;
      for (const ValueId id : op.outputs) count += id == kNoValue ? 0 : of[static_cast<size_t>(id)];
      return count;
    };
    if (counts(readers) > 0 || counts(readers_before) == 0) {
      left.push_back(std::move(op));
      continue;
    }
    for (const ValueId id : op.inputs)
      if (id != kNoValue) --readers[static_cast<size_t>(id)];
  }
  std::ranges::reverse(left);
  graph.ops = std::move(left);
  return graph;
}

}  // namespace

graph::Graph RecogniseActivations(const graph::Graph& forward) {
  const Recogniser recogniser(forward);
  Graph recognised = forward;
  for (size_t i = 0; i < forward.ops.size(); ++i) {
    std::optional<Op> whole = recogniser.Recognise(forward.ops[i]);
    if (!whole) continue;
    const ValueId y = forward.ops[i].outputs[0];
    whole->outputs = {y};
    if (whole->kind == OpKind::kRmsNorm) {
      whole->outputs.push_back(static_cast<ValueId>(recognised.values.size()));
      const graph::OutputSpec inverse = graph::Row(whole->kind).infer(recognised, *whole)[1];
      recognised.values.push_back({.name = whole->name + "/inv_rms", .shape = inverse.shape, .dtype = inverse.dtype});
    }
    recognised.ops[i] = std::move(*whole);
  }
  return WithoutLeftovers(forward, std::move(recognised));
}

}  // namespace lockstep::passes
