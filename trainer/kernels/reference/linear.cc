// Matrix products. K is the length of the sum, the bias included; magnitude the sum of |x||w| and |bias|.
#include <algorithm>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

std::vector<Tensor> Linear(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& weight = call.in(1);
  const auto out = static_cast<size_t>(weight.shape[0]), in = static_cast<size_t>(weight.shape[1]);
  const auto activation = call.op.as<graph::LinearAttributes>().activation;
  Tensor y = Zeros(WithLast(x.shape, weight.shape[0]), weight.shape[1] + (call.Has(2) ? 1 : 0));
  for (size_t r = 0; r < x.data.size() / in; ++r) {
    for (size_t o = 0; o < out; ++o) {
      Sum sum;
      for (size_t i = 0; i < in; ++i) sum.Add(x.data[r * in + i] * weight.data[o * in + i]);
      if (call.Has(2)) sum.Add(call.in(2).data[o]);
      Store(y, r * out + o, Activate(activation, sum));
    }
  }
  return {y};
}

std::vector<Tensor> LinearInputGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Tensor& weight = call.in(1);
  const auto out = static_cast<size_t>(weight.shape[0]), in = static_cast<size_t>(weight.shape[1]);
  Tensor dx = Zeros(WithLast(dy.shape, weight.shape[1]), weight.shape[0]);
  for (size_t r = 0; r < dy.data.size() / out; ++r) {
    for (size_t o = 0; o < out; ++o) {
      for (size_t i = 0; i < in; ++i) Add(dx, r * in + i, dy.data[r * out + o] * weight.data[o * in + i]);
    }
  }
  return {dx};
}

std::vector<Tensor> LinearWeightGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Tensor& x = call.in(1);
  const auto out = static_cast<size_t>(dy.shape[-1]), in = static_cast<size_t>(x.shape[-1]);
  const size_t rows = x.data.size() / in;
  Tensor dweight = Zeros(Shape{dy.shape[-1], x.shape[-1]}, static_cast<int64_t>(rows));
  Tensor dbias = Zeros(Shape{dy.shape[-1]}, static_cast<int64_t>(rows));
  for (size_t r = 0; r < rows; ++r) {
    for (size_t o = 0; o < out; ++o) {
      const double g = dy.data[r * out + o];
      for (size_t i = 0; i < in; ++i) Add(dweight, o * in + i, g * x.data[r * in + i]);
      Add(dbias, o, g);
    }
  }
  return {dweight, dbias};
}

/// A matrix of a batch, as the product reads it.
struct Matrix {
  const Tensor& tensor;
  bool transposed;

  int64_t rows() const { return tensor.shape.dim(transposed ? -1 : -2); }
  int64_t columns() const { return tensor.shape.dim(transposed ? -2 : -1); }
  /// Element (i, j) of the matrix for matrix `batch` of y, whose batch dimensions are broadcast to.
  double At(const Shape& y, int64_t batch, int64_t i, int64_t j) const {
    int64_t index = 0, stride = 1;
    for (int d = -3; d >= -y.rank(); --d) {
      const int64_t place = batch % y.dim(d);
      batch /= y.dim(d);
      if (-d > tensor.shape.rank() || tensor.shape.dim(d) == 1) continue;
      index += place * stride;
      stride *= tensor.shape.dim(d);
    }
    const int64_t at = transposed ? j * rows() + i : i * columns() + j;
    return tensor.data[static_cast<size_t>(index * rows() * columns() + at)];
  }
};

std::vector<Tensor> MatMul(const Call& call) {
  const auto& attributes = call.op.as<graph::MatMulAttributes>();
  const Matrix a{call.in(0), attributes.transpose_a}, b{call.in(1), attributes.transpose_b};
  const Shape &x = a.tensor.shape, &w = b.tensor.shape;
  std::vector<int64_t> dims;
  for (int d = -std::max(x.rank(), w.rank()); d < -2; ++d) {
    dims.push_back(std::max(-d <= x.rank() ? x.dim(d) : 1, -d <= w.rank() ? w.dim(d) : 1));
  }
  dims.push_back(a.rows());
  dims.push_back(b.columns());
  Tensor y = Zeros(Shape(std::span<const int64_t>(dims)), a.columns());
  for (int64_t at = 0; at < y.shape.size(); ++at) {
    const int64_t row = at / b.columns(), batch = row / a.rows();
    Sum sum;
    for (int64_t k = 0; k < a.columns(); ++k) {
      sum.Add(a.At(y.shape, batch, row % a.rows(), k) * b.At(y.shape, batch, k, at % b.columns()));
    }
    Store(y, static_cast<size_t>(at), sum * static_cast<double>(attributes.scale));
  }
  return {y};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kMatMul, .run = MatMul},
    {.kind = OpKind::kLinear, .run = Linear},
    {.kind = OpKind::kLinearInputGrad, .run = LinearInputGrad},
    {.kind = OpKind::kLinearWeightGrad, .run = LinearWeightGrad},
};

}  // namespace

std::span<const OpFunction> LinearRows() { return kRows; }

}  // namespace lockstep::reference
