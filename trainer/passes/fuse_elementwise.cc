// Trees of elementwise ops, all of one shape, whose inner values nobody else reads, become one op that goes through
// memory once. The op stands where the tree's root stood. Trees of kinds that families are made of alone stay as they
// are: their bits on GPUs, where inner values are rounded to bf16, are what runs continue with.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {
namespace {

using graph::ElementStep;
using graph::FusedAttributes;
using graph::Graph;
using graph::kNoValue;
using graph::Op;
using graph::OpKind;
using graph::ValueId;

constexpr int kNobody = -1;

bool IsTensorFunction(OpKind kind) {
  switch (kind) {
    case OpKind::kUnary:
    case OpKind::kUnaryGrad:
    case OpKind::kBinary:
    case OpKind::kBinaryGrad:
    case OpKind::kWhere:
      return true;
    default:
      return false;
  }
}

bool IsElementwise(OpKind kind) {
  return IsTensorFunction(kind) || kind == OpKind::kActivation || kind == OpKind::kActivationGrad ||
         kind == OpKind::kAdd || kind == OpKind::kCast;
}

/// The ops that become one, and what they read of others.
struct Tree {
  std::set<int> ops;  ///< numbers, in the order in which they run
  std::vector<ValueId> inputs;
};

class Fusion {
 public:
  explicit Fusion(const Graph& graph)
      : graph_(graph), readers_(CountReaders(graph)), writer_(graph.values.size(), kNobody), gone_(graph.ops.size()) {
    for (size_t i = 0; i < graph.ops.size(); ++i)
      for (const ValueId id : graph.ops[i].outputs)
        if (id != kNoValue) writer_[static_cast<size_t>(id)] = static_cast<int>(i);
  }

  Graph Run() && {
    for (size_t i = graph_.ops.size(); i-- > 0;) {
      if (gone_[i] || !IsElementwise(graph_.ops[i].kind)) continue;
      const Tree tree = Grow(static_cast<int>(i));
      if (!Pays(tree)) continue;
      Op fused = FusedOp(tree, graph_.ops[i]);
      for (const int op : tree.ops) gone_[static_cast<size_t>(op)] = true;
      gone_[i] = false;
      graph_.ops[i] = std::move(fused);
    }
    std::vector<Op> left;
    for (size_t i = 0; i < graph_.ops.size(); ++i)
      if (!gone_[i]) left.push_back(std::move(graph_.ops[i]));
    graph_.ops = std::move(left);
    return std::move(graph_);
  }

 private:
  const Op& op(int index) const { return graph_.ops[static_cast<size_t>(index)]; }
  const graph::Value& ResultOf(int index) const { return graph_.value(op(index).outputs[0]); }

  /// Takes in writers of what the tree reads, as long as one can be.
  Tree Grow(int root) const {
    Tree tree = WithInputs({root});
    for (bool grown = true; grown;) {
      grown = false;
      for (const ValueId id : tree.inputs) {
        const int writer = writer_[static_cast<size_t>(id)];
        if (!CanTakeIn(tree, root, writer)) continue;
        std::set<int> ops = tree.ops;
        ops.insert(writer);
        Tree larger = WithInputs(std::move(ops));
        if (!Fits(larger)) continue;
        tree = std::move(larger);
        grown = true;
        break;
      }
    }
    return tree;
  }

  bool CanTakeIn(const Tree& tree, int root, int writer) const {
    if (writer == kNobody || gone_[static_cast<size_t>(writer)]) return false;
    const Op& candidate = op(writer);
    if (!IsElementwise(candidate.kind) || ResultOf(writer).dtype == DType::kI32) return false;
    if (ResultOf(writer).shape != ResultOf(root).shape) return false;
    if (std::ranges::any_of(candidate.inputs, [&](ValueId id) { return IsWrittenAgain(id); })) return false;
    int inside = 0;
    for (const int reader : tree.ops)
      inside += static_cast<int>(std::ranges::count(op(reader).inputs, candidate.outputs[0]));
    return inside == readers_[static_cast<size_t>(candidate.outputs[0])];
  }

  /// What a run keeps for the next may be written over before the root's place.
  bool IsWrittenAgain(ValueId id) const {
    if (id == kNoValue) return false;
    const int writer = writer_[static_cast<size_t>(id)];
    return graph_.value(id).role == graph::Role::kState ||
           (writer != kNobody && op(writer).kind == OpKind::kCacheAppend);
  }

  Tree WithInputs(std::set<int> ops) const {
    Tree tree{std::move(ops), {}};
    for (const int index : tree.ops) {
      for (const ValueId id : op(index).inputs) {
        const bool known = id == kNoValue || tree.ops.contains(writer_[static_cast<size_t>(id)]) ||
                           std::ranges::find(tree.inputs, id) != tree.inputs.end();
        if (!known) tree.inputs.push_back(id);
      }
    }
    // First what the result may be written over.
    const graph::Value& result = ResultOf(*tree.ops.rbegin());
    std::stable_partition(tree.inputs.begin(), tree.inputs.end(), [&](ValueId id) {
      const graph::Value& value = graph_.value(id);
      return value.role == graph::Role::kActivation && value.dtype == result.dtype && value.shape == result.shape;
    });
    return tree;
  }

  bool Fits(const Tree& tree) const {
    const std::vector<ElementStep> steps = StepsOf(tree);
    int scalars = 0;
    for (const ElementStep& step : steps) scalars += ScalarOperands(step);
    return tree.inputs.size() <= FusedAttributes::kMaxInputs && steps.size() <= FusedAttributes::kMaxSteps &&
           scalars <= FusedAttributes::kMaxConstants;
  }

  bool Pays(const Tree& tree) const {
    return tree.ops.size() > 1 &&
           std::ranges::any_of(tree.ops, [&](int index) { return IsTensorFunction(op(index).kind); });
  }

  std::vector<ElementStep> StepsOf(const Tree& tree) const {
    std::vector<ElementStep> steps;
    std::vector<std::pair<ValueId, int8_t>> numbers;
    for (const ValueId id : tree.inputs) numbers.emplace_back(id, static_cast<int8_t>(numbers.size()));
    const auto number_of = [&](ValueId id) {
      if (id == kNoValue) return ElementStep::kScalar;
      return std::ranges::find(numbers, id, &std::pair<ValueId, int8_t>::first)->second;
    };
    const auto add = [&](OpKind kind, auto function, std::array<int8_t, 3> operands) {
      steps.push_back({.kind = kind, .function = function, .operands = operands});
      return static_cast<int8_t>(tree.inputs.size() + steps.size() - 1);
    };
    for (const int index : tree.ops) {
      const Op& from = op(index);
      std::array<int8_t, 3> operands = {ElementStep::kScalar, ElementStep::kScalar, ElementStep::kScalar};
      for (size_t i = 0; i < from.inputs.size(); ++i) operands[i] = number_of(from.inputs[i]);
      numbers.emplace_back(from.outputs[0], AddSteps(from, operands, add));
    }
    return steps;
  }

  /// Calls add(kind, function, operands) for what `op` does, and returns its result's number: a cast's is its
  /// operand's.
  template <typename Add>
  static int8_t AddSteps(const Op& op, const std::array<int8_t, 3>& operands, Add&& add) {
    constexpr int8_t kScalar = ElementStep::kScalar;
    switch (op.kind) {
      case OpKind::kUnary:
      case OpKind::kUnaryGrad:
        return add(op.kind, op.as<graph::UnaryAttributes>(), operands);
      case OpKind::kBinary:
        return add(op.kind, op.as<graph::BinaryAttributes>(), operands);
      case OpKind::kBinaryGrad:
        return add(op.kind, op.as<graph::BinaryGradAttributes>(), operands);
      case OpKind::kWhere:
        return add(op.kind, op.as<graph::WhereAttributes>(), operands);
      case OpKind::kAdd: {
        const int8_t sum = add(OpKind::kBinary, graph::BinaryAttributes{graph::BinaryFunction::kAdd}, operands);
        const graph::Activation activation = op.as<graph::ActivationAttributes>().activation;
        if (activation == graph::Activation::kNone) return sum;
        return add(OpKind::kActivation, activation, {sum, kScalar, kScalar});
      }
      case OpKind::kCast:
        return operands[0];
      default:
        return add(op.kind, op.as<graph::ActivationAttributes>().activation, operands);
    }
  }

  Op FusedOp(const Tree& tree, const Op& root) const {
    Op fused = root;
    fused.kind = OpKind::kFusedElementwise;
    fused.inputs = tree.inputs;
    fused.inputs.resize(FusedAttributes::kMaxInputs, kNoValue);
    fused.attributes =
        FusedAttributes{static_cast<int>(tree.inputs.size()), StepsOf(tree), graph_.value(root.outputs[0]).dtype};
    return fused;
  }

  Graph graph_;
  std::vector<int> readers_;
  std::vector<int> writer_;
  std::vector<bool> gone_;
};

}  // namespace

graph::Graph FuseElementwise(const graph::Graph& graph) { return Fusion(graph).Run(); }

}  // namespace lockstep::passes
