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
#include <span>
#include <vector>

#include "base/error.h"
#include "trainer/graph/graph.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/reference/tensor.h"

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

/// What computes one kind of op.
struct OpFunction {
  graph::OpKind kind;
  std::vector<Tensor> (*run)(const Call& call);
};

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
/// The factor of dy in the gradient of `activation`, where v is what graph.h says: y, or x for both gelus and silu.
Sum ActivationSlope(graph::Activation activation, double v);

// The families, each in a file of its own, with its rows beside its code.
std::span<const OpFunction> LinearRows();
std::span<const OpFunction> ConvolutionRows();
std::span<const OpFunction> PoolingRows();
std::span<const OpFunction> NormRows();
std::span<const OpFunction> ElementwiseRows();
std::span<const OpFunction> TensorElementwiseRows();
std::span<const OpFunction> LayoutRows();
std::span<const OpFunction> ResizeRows();
std::span<const OpFunction> SequenceRows();
std::span<const OpFunction> RecurrentRows();
std::span<const OpFunction> WindowsRows();
std::span<const OpFunction> CtcRows();
std::span<const OpFunction> LossRows();
std::span<const OpFunction> DetectionRows();
std::span<const OpFunction> ReduceRows();
std::span<const OpFunction> StridedRows();

}  // namespace lockstep::reference
