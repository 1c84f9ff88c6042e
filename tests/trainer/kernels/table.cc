#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {

using graph::OpKind;

const std::vector<OpCases>& Table() {
  static const std::vector<OpCases> table = {
      {OpKind::kLinear, LinearCases()},
      {OpKind::kLinearInputGrad, LinearInputGradCases()},
      {OpKind::kLinearWeightGrad, LinearWeightGradCases()},
      {OpKind::kConv2d, ConvCases()},
      {OpKind::kConv2dInputGrad, ConvInputGradCases()},
      {OpKind::kConv2dWeightGrad, ConvWeightGradCases()},
      {OpKind::kMaxPool2d, MaxPoolCases()},
      {OpKind::kMaxPool2dGrad, MaxPoolGradCases()},
      {OpKind::kAveragePool2d, AveragePoolCases()},
      {OpKind::kAveragePool2dGrad, AveragePoolGradCases()},
      {OpKind::kGlobalAveragePool, GlobalPoolCases()},
      {OpKind::kGlobalAveragePoolGrad, GlobalPoolGradCases()},
      {OpKind::kBatchNormTrain, BatchNormTrainCases()},
      {OpKind::kBatchNormInfer, BatchNormInferCases()},
      {OpKind::kBatchNormGrad, BatchNormGradCases()},
      {OpKind::kBatchNormInferGrad, BatchNormInferGradCases()},
      {OpKind::kGroupNorm, GroupNormCases()},
      {OpKind::kGroupNormGrad, GroupNormGradCases()},
      {OpKind::kLayerNorm, LayerNormCases()},
      {OpKind::kLayerNormGrad, LayerNormGradCases()},
      {OpKind::kRmsNorm, RmsNormCases()},
      {OpKind::kRmsNormGrad, RmsNormGradCases()},
      {OpKind::kAddLayerNorm, AddLayerNormCases()},
      {OpKind::kAddLayerNormGrad, AddLayerNormGradCases()},
      {OpKind::kAddRmsNorm, AddRmsNormCases()},
      {OpKind::kAddRmsNormGrad, AddRmsNormGradCases()},
      {OpKind::kActivation, ActivationCases()},
      {OpKind::kActivationGrad, ActivationGradCases()},
      {OpKind::kDropout, DropoutCases()},
      {OpKind::kDropoutGrad, DropoutCases()},
      {OpKind::kAdd,
       {{"sum", {F({3, 5, 7}), F({3, 5, 7})}, graph::ActivationAttributes{graph::Activation::kNone}},
        {"batch 1", {F({1, 1}), F({1, 1})}, graph::ActivationAttributes{graph::Activation::kNone}},
        {"many", {F({5, 9999}), F({5, 9999})}, graph::ActivationAttributes{graph::Activation::kNone}},
        {"relu", {F({2, 4, 4, 17}), F({2, 4, 4, 17})}, graph::ActivationAttributes{graph::Activation::kRelu}}}},
      {OpKind::kReshape,
       {{"image to row", {F({2, 3, 4, 5})}, graph::ReshapeAttributes{{2, 60}}},
        {"odd", {F({7, 3})}, graph::ReshapeAttributes{{7, 1, 3, 1}}}}},
      {OpKind::kFlatten, FlattenCases()},
      {OpKind::kFlattenGrad, FlattenGradCases()},
      {OpKind::kPadChannels, PadCases()},
      {OpKind::kPadChannelsGrad, PadGradCases()},
      {OpKind::kResizeNearest, ResizeCases()},
      {OpKind::kResizeNearestGrad, ResizeGradCases()},
      {OpKind::kConcat, ConcatCases()},
      {OpKind::kSlice, SliceCases()},
      {OpKind::kPixels, PixelsCases()},
      {OpKind::kEmbedding, EmbeddingCases()},
      {OpKind::kEmbeddingGrad, EmbeddingGradCases()},
      {OpKind::kRotary, RotaryCases()},
      {OpKind::kCacheAppend, CacheAppendCases()},
      {OpKind::kAttention, AttentionCases()},
      {OpKind::kAttentionGrad, AttentionGradCases()},
      {OpKind::kSwiGlu, SwiGluCases()},
      {OpKind::kSwiGluGrad, SwiGluGradCases()},
      {OpKind::kLstm, LstmCases()},
      {OpKind::kLstmGrad, LstmGradCases()},
      {OpKind::kGru, GruCases()},
      {OpKind::kGruGrad, GruGradCases()},
      {OpKind::kWindows, WindowsCases()},
      {OpKind::kWindowsGrad, WindowsGradCases()},
      {OpKind::kSoftmaxCrossEntropy, CrossEntropyCases()},
      {OpKind::kSoftmaxCrossEntropyGrad, CrossEntropyGradCases()},
      {OpKind::kSoftmaxCrossEntropyTrain, CrossEntropyTrainCases()},
      {OpKind::kMeanSquaredError, SquaredErrorCases()},
      {OpKind::kMeanSquaredErrorGrad, SquaredErrorGradCases()},
      {OpKind::kCtc, CtcCases()},
      {OpKind::kCtcGrad, CtcGradCases()},
      {OpKind::kFocalLoss, FocalLossCases()},
      {OpKind::kFocalLossGrad, FocalLossGradCases()},
      {OpKind::kBoxLoss, BoxLossCases()},
      {OpKind::kBoxLossGrad, BoxLossGradCases()},
      {OpKind::kSigmoidCrossEntropy, SigmoidCrossEntropyCases()},
      {OpKind::kSigmoidCrossEntropyGrad, SigmoidCrossEntropyGradCases()},
      {OpKind::kArgMax, ArgMaxCases()},
  };
  return table;
}

const OpCases* Find(OpKind kind) {
  for (const OpCases& line : Table()) {
    if (line.kind == kind) return &line;
  }
  return nullptr;
}

}  // namespace lockstep::conformance
