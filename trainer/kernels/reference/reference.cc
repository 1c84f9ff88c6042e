#include "trainer/kernels/reference/reference.h"

#include <utility>

#include "base/error.h"
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {

using graph::OpKind;

namespace {

constexpr std::pair<OpKind, Function> kFunctions[] = {
    {OpKind::kLinear, Linear},
    {OpKind::kLinearInputGrad, LinearInputGrad},
    {OpKind::kLinearWeightGrad, LinearWeightGrad},
    {OpKind::kConv2d, Conv2d},
    {OpKind::kConv2dInputGrad, Conv2dInputGrad},
    {OpKind::kConv2dWeightGrad, Conv2dWeightGrad},
    {OpKind::kMaxPool2d, MaxPool2d},
    {OpKind::kMaxPool2dGrad, MaxPool2dGrad},
    {OpKind::kAveragePool2d, AveragePool2d},
    {OpKind::kAveragePool2dGrad, AveragePool2dGrad},
    {OpKind::kGlobalAveragePool, GlobalAveragePool},
    {OpKind::kGlobalAveragePoolGrad, GlobalAveragePoolGrad},
    {OpKind::kBatchNormTrain, BatchNormTrain},
    {OpKind::kBatchNormInfer, BatchNormInfer},
    {OpKind::kBatchNormGrad, BatchNormGrad},
    {OpKind::kLayerNorm, LayerNorm},
    {OpKind::kLayerNormGrad, LayerNormGrad},
    {OpKind::kRmsNorm, RmsNorm},
    {OpKind::kRmsNormGrad, RmsNormGrad},
    {OpKind::kActivation, Activation},
    {OpKind::kActivationGrad, ActivationGrad},
    {OpKind::kDropout, Dropout},
    {OpKind::kDropoutGrad, Dropout},
    {OpKind::kAdd, AddOp},
    {OpKind::kReshape, Reshape},
    {OpKind::kFlatten, Flatten},
    {OpKind::kFlattenGrad, FlattenGrad},
    {OpKind::kPadChannels, PadChannels},
    {OpKind::kPadChannelsGrad, PadChannelsGrad},
    {OpKind::kConcat, Concat},
    {OpKind::kSlice, Slice},
    {OpKind::kEmbedding, Embedding},
    {OpKind::kEmbeddingGrad, EmbeddingGrad},
    {OpKind::kRotary, Rotary},
    {OpKind::kCacheAppend, CacheAppend},
    {OpKind::kAttention, Attention},
    {OpKind::kAttentionGrad, AttentionGrad},
    {OpKind::kSwiGlu, SwiGlu},
    {OpKind::kSwiGluGrad, SwiGluGrad},
    {OpKind::kLstm, Lstm},
    {OpKind::kLstmGrad, LstmGrad},
    {OpKind::kGru, Gru},
    {OpKind::kGruGrad, GruGrad},
    {OpKind::kWindows, Windows},
    {OpKind::kWindowsGrad, WindowsGrad},
    {OpKind::kSoftmaxCrossEntropy, SoftmaxCrossEntropy},
    {OpKind::kSoftmaxCrossEntropyGrad, SoftmaxCrossEntropyGrad},
    {OpKind::kMeanSquaredError, MeanSquaredError},
    {OpKind::kMeanSquaredErrorGrad, MeanSquaredErrorGrad},
    {OpKind::kCtc, Ctc},
    {OpKind::kCtcGrad, CtcGrad},
    {OpKind::kCountCorrect, CountCorrect},
    {OpKind::kArgMax, ArgMax},
};

Function Find(OpKind kind) {
  for (const auto& [of_kind, function] : kFunctions) {
    if (of_kind == kind) return function;
  }
  CHECK(false, "no reference for op kind {}", static_cast<int>(kind));
  return nullptr;
}

}  // namespace

std::vector<Tensor> RunOp(const graph::Graph& /*graph*/, const graph::Op& op, const std::vector<const Tensor*>& inputs,
                          const graph::StepBlock& step_block) {
  return Find(op.kind)(Call{op, inputs, step_block});
}

std::vector<Tensor> RunGraph(const graph::Graph& graph, const std::map<std::string, Tensor>& values,
                             const graph::StepBlock& step_block) {
  std::vector<Tensor> all(graph.values.size());
  for (size_t id = 0; id < all.size(); ++id) {
    const graph::Value& value = graph.values[id];
    if (value.role == graph::Role::kActivation || value.role == graph::Role::kStepBlock) continue;
    const auto found = values.find(value.name);
    CHECK(found != values.end(), "no tensor given for '{}'", value.name);
    CHECK(found->second.shape == value.shape, "'{}' is {}, not {}", value.name, value.shape.ToString(),
          found->second.shape.ToString());
    all[id] = found->second;
  }
  for (const graph::Op& op : graph.ops) {
    std::vector<const Tensor*> inputs;
    for (const graph::ValueId id : op.inputs) {
      inputs.push_back(id == graph::kNoValue ? nullptr : &all[static_cast<size_t>(id)]);
    }
    std::vector<Tensor> outputs = RunOp(graph, op, inputs, step_block);
    CHECK(outputs.size() >= op.outputs.size(), "{} '{}' has {} outputs", graph::Name(op.kind), op.name, outputs.size());
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      if (op.outputs[i] == graph::kNoValue) continue;
      CHECK(outputs[i].shape == graph.value(op.outputs[i]).shape, "{} '{}': output {} is {}, not {}",
            graph::Name(op.kind), op.name, i, outputs[i].shape.ToString(), graph.value(op.outputs[i]).shape.ToString());
      all[static_cast<size_t>(op.outputs[i])] = std::move(outputs[i]);
    }
  }
  return all;
}

}  // namespace lockstep::reference
