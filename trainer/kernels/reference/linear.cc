// Matrix products. K is the length of the sum, the bias included; magnitude the sum of |x||w| and |bias|.
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

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kLinear, .run = Linear},
    {.kind = OpKind::kLinearInputGrad, .run = LinearInputGrad},
    {.kind = OpKind::kLinearWeightGrad, .run = LinearWeightGrad},
};

}  // namespace

std::span<const OpFunction> LinearRows() { return kRows; }

}  // namespace lockstep::reference
