// What the reference's op functions share. Each function takes the operands of one op and returns all of its outputs,
// the optional ones too, with the error scale that comparisons need:
//
//   |float result - reference| <= 4 sqrt(terms) 2^-24 magnitude
//
// Operands count as exact, also those that a forward op computed (mean, inv_std, lse). `magnitude` is the sum of the
// absolute values of what the op's definition adds up, propagated through what follows the sum; 0 says that no rounding
// is allowed: copies, maxima, masks and integers are exact.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "trainer/graph/graph.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/reference/reference.h"

namespace lockstep::reference {

/// A sum and the sum of the absolute values of its terms.
struct Sum {
  double value = 0;
  double magnitude = 0;

  void Add(double term) {
    value += term;
    magnitude += std::abs(term);
  }
  Sum operator*(double factor) const { return {value * factor, magnitude * std::abs(factor)}; }
};

/// One op's operands.
struct Call {
  const graph::Op& op;
  const std::vector<const Tensor*>& inputs;
  const graph::StepBlock& step_block;

  bool Has(size_t i) const { return i < inputs.size() && inputs[i] != nullptr && !inputs[i]->data.empty(); }
  const Tensor& in(size_t i) const {
    CHECK(Has(i), "{} '{}' lacks operand {}", graph::Name(op.kind), op.name, i);
    return *inputs[i];
  }
};

using Function = std::vector<Tensor> (*)(const Call&);

/// `shape` with another last dimension.
inline Shape WithLast(const Shape& shape, int64_t last) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.back() = last;
  return Shape(dims);
}

/// A tensor of zeros whose elements are sums of `terms` terms.
inline Tensor Zeros(const Shape& shape, int64_t terms) {
  const auto size = static_cast<size_t>(shape.size());
  return {shape, std::vector<double>(size), std::vector<double>(size), terms};
}
inline void Store(Tensor& tensor, size_t i, const Sum& sum) {
  tensor.data[i] = sum.value;
  tensor.magnitude[i] = sum.magnitude;
}
inline void Add(Tensor& tensor, size_t i, double term) {
  tensor.data[i] += term;
  tensor.magnitude[i] += std::abs(term);
}
inline Tensor Scalar(const Sum& sum, int64_t terms) { return {Shape(), {sum.value}, {sum.magnitude}, terms}; }

/// act(z). An error of z comes through with the slope; that of relu with 1, since an error can carry z across its kink.
Sum Activate(graph::Activation activation, const Sum& z);

// linear.cc
std::vector<Tensor> Linear(const Call& call);
std::vector<Tensor> LinearInputGrad(const Call& call);
std::vector<Tensor> LinearWeightGrad(const Call& call);
// conv.cc
std::vector<Tensor> Conv2d(const Call& call);
std::vector<Tensor> Conv2dInputGrad(const Call& call);
std::vector<Tensor> Conv2dWeightGrad(const Call& call);
// pool.cc
std::vector<Tensor> MaxPool2d(const Call& call);
std::vector<Tensor> MaxPool2dGrad(const Call& call);
std::vector<Tensor> AveragePool2d(const Call& call);
std::vector<Tensor> AveragePool2dGrad(const Call& call);
std::vector<Tensor> GlobalAveragePool(const Call& call);
std::vector<Tensor> GlobalAveragePoolGrad(const Call& call);
// norm.cc
std::vector<Tensor> BatchNormTrain(const Call& call);
std::vector<Tensor> BatchNormInfer(const Call& call);
std::vector<Tensor> BatchNormGrad(const Call& call);
std::vector<Tensor> LayerNorm(const Call& call);
std::vector<Tensor> LayerNormGrad(const Call& call);
std::vector<Tensor> RmsNorm(const Call& call);
std::vector<Tensor> RmsNormGrad(const Call& call);
// elementwise.cc
std::vector<Tensor> Activation(const Call& call);
std::vector<Tensor> ActivationGrad(const Call& call);
std::vector<Tensor> Dropout(const Call& call);
std::vector<Tensor> AddOp(const Call& call);
// shape.cc
std::vector<Tensor> Reshape(const Call& call);
std::vector<Tensor> Flatten(const Call& call);
std::vector<Tensor> FlattenGrad(const Call& call);
std::vector<Tensor> PadChannels(const Call& call);
std::vector<Tensor> PadChannelsGrad(const Call& call);
std::vector<Tensor> Concat(const Call& call);
std::vector<Tensor> Slice(const Call& call);
// sequence.cc
std::vector<Tensor> Embedding(const Call& call);
std::vector<Tensor> EmbeddingGrad(const Call& call);
std::vector<Tensor> Rotary(const Call& call);
std::vector<Tensor> Attention(const Call& call);
std::vector<Tensor> AttentionGrad(const Call& call);
std::vector<Tensor> SwiGlu(const Call& call);
std::vector<Tensor> SwiGluGrad(const Call& call);
// recurrent.cc
std::vector<Tensor> Lstm(const Call& call);
std::vector<Tensor> LstmGrad(const Call& call);
std::vector<Tensor> Gru(const Call& call);
std::vector<Tensor> GruGrad(const Call& call);
// windows.cc
std::vector<Tensor> CacheAppend(const Call& call);
std::vector<Tensor> Windows(const Call& call);
std::vector<Tensor> WindowsGrad(const Call& call);
// ctc.cc
std::vector<Tensor> Ctc(const Call& call);
std::vector<Tensor> CtcGrad(const Call& call);
// loss.cc
std::vector<Tensor> SoftmaxCrossEntropy(const Call& call);
std::vector<Tensor> SoftmaxCrossEntropyGrad(const Call& call);
std::vector<Tensor> MeanSquaredError(const Call& call);
std::vector<Tensor> MeanSquaredErrorGrad(const Call& call);
std::vector<Tensor> CountCorrect(const Call& call);
std::vector<Tensor> ArgMax(const Call& call);

}  // namespace lockstep::reference
