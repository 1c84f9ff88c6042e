// The lists of cases of each family of ops, which the table (table.cc) puts together.
#pragma once

#include <vector>

#include "tests/trainer/kernels/op_cases.h"

namespace lockstep::conformance {

// dense_cases.cc
std::vector<OpCase> LinearCases();
std::vector<OpCase> LinearInputGradCases();
std::vector<OpCase> LinearWeightGradCases();
std::vector<OpCase> ConvCases();
std::vector<OpCase> ConvInputGradCases();
std::vector<OpCase> ConvWeightGradCases();
std::vector<OpCase> MaxPoolCases();
std::vector<OpCase> MaxPoolGradCases();
std::vector<OpCase> AveragePoolCases();
std::vector<OpCase> AveragePoolGradCases();
std::vector<OpCase> GlobalPoolCases();
std::vector<OpCase> GlobalPoolGradCases();

// norm_cases.cc
std::vector<OpCase> BatchNormTrainCases();
std::vector<OpCase> BatchNormInferCases();
std::vector<OpCase> BatchNormGradCases();
std::vector<OpCase> BatchNormInferGradCases();
std::vector<OpCase> GroupNormCases();
std::vector<OpCase> GroupNormGradCases();
std::vector<OpCase> LayerNormCases();
std::vector<OpCase> LayerNormGradCases();
std::vector<OpCase> RmsNormCases();
std::vector<OpCase> RmsNormGradCases();
std::vector<OpCase> AddLayerNormCases();
std::vector<OpCase> AddLayerNormGradCases();
std::vector<OpCase> AddRmsNormCases();
std::vector<OpCase> AddRmsNormGradCases();
std::vector<OpCase> BatchNormAddTrainCases();
std::vector<OpCase> BatchNormAddGradCases();

// elementwise_cases.cc
std::vector<OpCase> ActivationCases();
std::vector<OpCase> ActivationGradCases();
std::vector<OpCase> DropoutCases();
std::vector<OpCase> FlattenCases();
std::vector<OpCase> FlattenGradCases();
std::vector<OpCase> PadCases();
std::vector<OpCase> PadGradCases();
std::vector<OpCase> ResizeCases();
std::vector<OpCase> ResizeGradCases();
std::vector<OpCase> ResizeLinearCases();
std::vector<OpCase> ResizeLinearGradCases();
std::vector<OpCase> ConcatCases();
std::vector<OpCase> SliceCases();
std::vector<OpCase> PixelsCases();

// tensor/elementwise_cases.cc
std::vector<OpCase> UnaryCases();
std::vector<OpCase> UnaryGradCases();
std::vector<OpCase> BinaryCases();
std::vector<OpCase> BinaryGradCases();
std::vector<OpCase> WhereCases();
std::vector<OpCase> CastCases();
std::vector<OpCase> FusedElementwiseCases();

// sequence_cases.cc
std::vector<OpCase> EmbeddingCases();
std::vector<OpCase> EmbeddingGradCases();
std::vector<OpCase> RotaryCases();
std::vector<OpCase> CacheAppendCases();
std::vector<OpCase> AttentionCases();
std::vector<OpCase> AttentionGradCases();
std::vector<OpCase> SwiGluCases();
std::vector<OpCase> SwiGluGradCases();

// recurrent_cases.cc
std::vector<OpCase> LstmCases();
std::vector<OpCase> LstmGradCases();
std::vector<OpCase> GruCases();
std::vector<OpCase> GruGradCases();

// windows_cases.cc
std::vector<OpCase> WindowsCases();
std::vector<OpCase> WindowsGradCases();

// ctc_cases.cc
std::vector<OpCase> CtcCases();
std::vector<OpCase> CtcGradCases();

// loss_cases.cc
std::vector<OpCase> CrossEntropyCases();
std::vector<OpCase> CrossEntropyGradCases();
std::vector<OpCase> CrossEntropyTrainCases();
std::vector<OpCase> SquaredErrorCases();
std::vector<OpCase> SquaredErrorGradCases();
std::vector<OpCase> ArgMaxCases();

// reduce_cases.cc
std::vector<OpCase> ReduceCases();
std::vector<OpCase> ReduceGradCases();

// tensor_cases.cc
std::vector<OpCase> StridedCases();
std::vector<OpCase> StridedGradCases();
std::vector<OpCase> PaddingCases();
std::vector<OpCase> GatherCases();
std::vector<OpCase> GatherGradCases();
std::vector<OpCase> SoftmaxCases();
std::vector<OpCase> SoftmaxGradCases();
std::vector<OpCase> MatMulCases();

// detection_cases.cc
std::vector<OpCase> FocalLossCases();
std::vector<OpCase> FocalLossGradCases();
std::vector<OpCase> BoxLossCases();
std::vector<OpCase> BoxLossGradCases();
std::vector<OpCase> SigmoidCrossEntropyCases();
std::vector<OpCase> SigmoidCrossEntropyGradCases();

}  // namespace lockstep::conformance
