// Ops that read or write the same large values become one, after all other passes that know ops by their kind: what
// they have between them then never goes through memory.
#include <algorithm>

#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {
namespace {

using graph::Activation;
using graph::Graph;
using graph::kNoValue;
using graph::Op;
using graph::OpKind;
using graph::ValueId;

constexpr int kNobody = -1;

/// What kinds of norms become where they have a sum in them.
struct NormKinds {
  OpKind norm, grad, add_norm, add_grad;
};
constexpr NormKinds kNorms[] = {
    {OpKind::kLayerNorm, OpKind::kLayerNormGrad, OpKind::kAddLayerNorm, OpKind::kAddLayerNormGrad},
    {OpKind::kRmsNorm, OpKind::kRmsNormGrad, OpKind::kAddRmsNorm, OpKind::kAddRmsNormGrad},
};

Activation ActivationOf(const Op& op) {
  if (op.kind == OpKind::kBatchNormTrain || op.kind == OpKind::kBatchNormGrad)
    return op.as<graph::NormAttributes>().activation;
  return op.as<graph::ActivationAttributes>().activation;
}
bool IsPlainSum(const Op& op) { return op.kind == OpKind::kAdd && ActivationOf(op) == Activation::kNone; }
bool IsReluGrad(const Op& op) { return op.kind == OpKind::kActivationGrad && ActivationOf(op) == Activation::kRelu; }

/// An op that takes another one in stands in its own place or the other's; the other is gone.
class Fusion {
 public:
  explicit Fusion(const Graph& graph)
      : graph_(graph), readers_(CountReaders(graph)), writer_(graph.values.size(), kNobody), gone_(graph.ops.size()) {
    for (size_t i = 0; i < graph.ops.size(); ++i)
      for (const ValueId id : graph.ops[i].outputs)
        if (id != kNoValue) writer_[static_cast<size_t>(id)] = static_cast<int>(i);
  }

  Graph Run() && {
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
      if (graph_.ops[i].kind == OpKind::kSoftmaxCrossEntropyGrad) FuseCrossEntropy(i);
      if (graph_.ops[i].kind == OpKind::kBatchNormGrad) {
        TakeMaskFromInput(graph_.ops[i]);
        FuseBatchNormGrad(i);
      }
      if (!gone_[i] && graph_.ops[i].kind == OpKind::kAdd) FuseBatchNormAndSum(i);
      for (const NormKinds& kinds : kNorms) {
        if (graph_.ops[i].kind == kinds.norm) FuseSumAndNorm(i, kinds);
        if (!gone_[i] && IsPlainSum(graph_.ops[i])) FuseNormGradAndSum(i, kinds);
      }
    }
    std::vector<Op> left;
    for (size_t i = 0; i < graph_.ops.size(); ++i)
      if (!gone_[i]) left.push_back(std::move(graph_.ops[i]));
    graph_.ops = std::move(left);
    return std::move(graph_);
  }

 private:
  /// The op that writes `id`, by its number; kNobody where none does.
  int WriterOf(ValueId id) const { return id == kNoValue ? kNobody : writer_[static_cast<size_t>(id)]; }
  bool ReadOnce(ValueId id) const { return readers_[static_cast<size_t>(id)] == 1; }

  /// The gradient goes where the loss is: all that it reads is there, the loss's scale included, which is an input.
  void FuseCrossEntropy(size_t index) {
    const Op& grad = graph_.ops[index];
    const int writer = WriterOf(grad.inputs[2]);
    if (writer == kNobody || !ReadOnce(grad.inputs[2])) return;
    Op& loss = graph_.ops[static_cast<size_t>(writer)];
    if (loss.kind != OpKind::kSoftmaxCrossEntropy || loss.attributes != grad.attributes) return;
    const bool same_targets = std::equal(loss.inputs.begin() + 2, loss.inputs.end(), grad.inputs.begin() + 4);
    if (loss.inputs[0] != grad.inputs[0] || loss.inputs[1] != grad.inputs[1] || !same_targets) return;
    loss.kind = OpKind::kSoftmaxCrossEntropyTrain;
    loss.inputs.insert(loss.inputs.begin() + 2, grad.inputs[3]);
    loss.outputs = {grad.outputs[0], loss.outputs[0], loss.outputs[2]};
    gone_[index] = true;
  }

  /// Where a relu let something through follows from x, which the gradient reads anyway, and the bias.
  void TakeMaskFromInput(Op& grad) const {
    const int writer = WriterOf(grad.inputs[5]);
    if (writer == kNobody) return;
    const Op& norm = graph_.ops[static_cast<size_t>(writer)];
    if (norm.kind != OpKind::kBatchNormTrain || norm.inputs[0] != grad.inputs[1]) return;
    grad.inputs[5] = kNoValue;
    grad.inputs[6] = norm.inputs[2];
  }

  /// The sum, with its activation, moves to the batch norm that makes one of its summands; the other must be there.
  void FuseBatchNormAndSum(size_t index) {
    const Op& sum = graph_.ops[index];
    for (size_t side = 0; side < 2; ++side) {
      const ValueId normalised = sum.inputs[side], other = sum.inputs[1 - side];
      const int writer = WriterOf(normalised);
      if (writer == kNobody || !ReadOnce(normalised) || WriterOf(other) >= writer) continue;
      Op& norm = graph_.ops[static_cast<size_t>(writer)];
      if (norm.kind != OpKind::kBatchNormTrain || ActivationOf(norm) != Activation::kNone) continue;
      norm.kind = OpKind::kBatchNormAddTrain;
      norm.inputs.insert(norm.inputs.begin() + 1, other);
      std::get<graph::NormAttributes>(norm.attributes).activation = ActivationOf(sum);
      norm.outputs[0] = sum.outputs[0];
      writer_[static_cast<size_t>(sum.outputs[0])] = writer;
      gone_[index] = true;
      return;
    }
  }

  /// Where a batch norm's gradient reads what a relu's gradient or a sum of two gradients writes, or the relu's of such
  /// a sum, all of it becomes one op in the place of the last of these, which its other operands must be there for.
  void FuseBatchNormGrad(size_t index) {
    const Op& grad = graph_.ops[index];
    const ValueId g = grad.inputs[0];
    const int writer = WriterOf(g);
    if (writer == kNobody) return;
    for (size_t i = 1; i < grad.inputs.size(); ++i)
      if (WriterOf(grad.inputs[i]) >= writer) return;
    Op fused = grad;
    const Op& before = graph_.ops[static_cast<size_t>(writer)];
    ValueId dy = g;
    if (IsReluGrad(before) && ActivationOf(grad) == Activation::kNone) {
      std::get<graph::NormAttributes>(fused.attributes).activation = Activation::kRelu;
      fused.inputs[5] = before.inputs[1];
      dy = before.inputs[0];
    }
    const int summed = WriterOf(dy);
    const bool sums = summed != kNobody && ReadOnce(dy) && IsPlainSum(graph_.ops[static_cast<size_t>(summed)]);
    if (!sums && dy == g) return;
    const ValueId other = sums ? graph_.ops[static_cast<size_t>(summed)].inputs[1] : kNoValue;
    fused.inputs[0] = sums ? graph_.ops[static_cast<size_t>(summed)].inputs[0] : dy;
    fused.inputs.insert(fused.inputs.begin() + 1, other);
    fused.kind = OpKind::kBatchNormAddGrad;
    fused.outputs.push_back(g);
    for (const ValueId id : fused.outputs)
      if (id != kNoValue) writer_[static_cast<size_t>(id)] = writer;
    if (sums && summed != writer) gone_[static_cast<size_t>(summed)] = true;
    gone_[index] = true;
    graph_.ops[static_cast<size_t>(writer)] = std::move(fused);
  }

  /// Only where the norm stands right behind the sum: elsewhere its result would be kept for longer.
  void FuseSumAndNorm(size_t index, const NormKinds& kinds) {
    Op& norm = graph_.ops[index];
    if (index == 0 || WriterOf(norm.inputs[0]) != static_cast<int>(index) - 1) return;
    const Op& sum = graph_.ops[index - 1];
    if (!IsPlainSum(sum) || gone_[index - 1]) return;
    norm.kind = kinds.add_norm;
    norm.inputs[0] = sum.inputs[0];
    norm.inputs.insert(norm.inputs.begin() + 1, sum.inputs[1]);
    norm.outputs.insert(norm.outputs.begin(), sum.outputs[0]);
    writer_[static_cast<size_t>(sum.outputs[0])] = static_cast<int>(index);
    gone_[index - 1] = true;
  }

  /// The sum moves to the norm's gradient, where its other summand must be there already.
  void FuseNormGradAndSum(size_t index, const NormKinds& kinds) {
    const Op& sum = graph_.ops[index];
    for (size_t side = 0; side < 2; ++side) {
      const ValueId dx = sum.inputs[side], other = sum.inputs[1 - side];
      const int writer = WriterOf(dx);
      if (writer == kNobody || !ReadOnce(dx) || WriterOf(other) >= writer) continue;
      Op& grad = graph_.ops[static_cast<size_t>(writer)];
      if (grad.kind != kinds.grad || grad.outputs[0] != dx) continue;
      grad.kind = kinds.add_grad;
      grad.inputs.insert(grad.inputs.begin(), other);
      grad.outputs[0] = sum.outputs[0];
      writer_[static_cast<size_t>(sum.outputs[0])] = writer;
      gone_[index] = true;
      return;
    }
  }

  Graph graph_;
  std::vector<int> readers_;
  std::vector<int> writer_;
  std::vector<bool> gone_;
};

}  // namespace

graph::Graph FuseForDevice(const graph::Graph& graph) { return Fusion(graph).Run(); }

}  // namespace lockstep::passes
