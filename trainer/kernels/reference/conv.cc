// Convolutions: one walk over all products x * weight that make up y serves the result and both gradients. K is the
// length of the longest sum, the bias included; magnitude the sum of |x||w| and |bias|.
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

/// Calls visit(i_y, i_x, i_w) for every product x[i_x] * weight[i_w] that y[i_y] is a sum of.
template <typename Visit>
void ForEachProduct(const Shape& x, const Shape& weight, const Shape& y, const graph::Conv2dAttributes& attributes,
                    Visit visit) {
  const int64_t group_in = weight[1], group_out = weight[0] / attributes.groups;
  const graph::Pair stride = attributes.stride, padding = attributes.padding, dilation = attributes.dilation;
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t row = 0; row < y[1]; ++row) {
      for (int64_t column = 0; column < y[2]; ++column) {
        for (int64_t o = 0; o < y[3]; ++o) {
          for (int64_t c = 0; c < group_in; ++c) {
            for (int64_t i = 0; i < weight[2]; ++i) {
              for (int64_t j = 0; j < weight[3]; ++j) {
                const int64_t x_row = row * stride.height + i * dilation.height - padding.height;
                const int64_t x_column = column * stride.width + j * dilation.width - padding.width;
                if (x_row < 0 || x_row >= x[1] || x_column < 0 || x_column >= x[2]) continue;
                const int64_t x_channel = o / group_out * group_in + c;
                visit(static_cast<size_t>(((n * y[1] + row) * y[2] + column) * y[3] + o),
                      static_cast<size_t>(((n * x[1] + x_row) * x[2] + x_column) * x[3] + x_channel),
                      static_cast<size_t>(((o * group_in + c) * weight[2] + i) * weight[3] + j));
              }
            }
          }
        }
      }
    }
  }
}

std::vector<Tensor> Conv2d(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& weight = call.in(1);
  const auto& attributes = call.op.as<graph::Conv2dAttributes>();
  const graph::Pair stride = attributes.stride, padding = attributes.padding, dilation = attributes.dilation;
  const Shape& w = weight.shape;
  const int64_t height = (x.shape[1] + 2 * padding.height - dilation.height * (w[2] - 1) - 1) / stride.height + 1;
  const int64_t width = (x.shape[2] + 2 * padding.width - dilation.width * (w[3] - 1) - 1) / stride.width + 1;
  Tensor y = Zeros(Shape{x.shape[0], height, width, w[0]}, w[1] * w[2] * w[3] + (call.Has(2) ? 1 : 0));
  ForEachProduct(x.shape, w, y.shape, attributes,
                 [&](size_t i_y, size_t i_x, size_t i_w) { Add(y, i_y, x.data[i_x] * weight.data[i_w]); });
  const auto out = static_cast<size_t>(w[0]);
  for (size_t i = 0; i < y.data.size(); ++i) {
    if (call.Has(2)) Add(y, i, call.in(2).data[i % out]);
    Store(y, i, Activate(attributes.activation, {y.data[i], y.magnitude[i]}));
  }
  return {y};
}

std::vector<Tensor> Conv2dInputGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Tensor& weight = call.in(1);
  const auto& attributes = call.op.as<graph::Conv2dAttributes>();
  const Shape& w = weight.shape;
  Tensor dx = Zeros(attributes.result, w[0] / attributes.groups * w[2] * w[3]);
  ForEachProduct(dx.shape, w, dy.shape, attributes,
                 [&](size_t i_y, size_t i_x, size_t i_w) { Add(dx, i_x, dy.data[i_y] * weight.data[i_w]); });
  return {dx};
}

std::vector<Tensor> Conv2dWeightGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Tensor& x = call.in(1);
  const auto& attributes = call.op.as<graph::Conv2dAttributes>();
  const int64_t positions = dy.shape[0] * dy.shape[1] * dy.shape[2];
  Tensor dweight = Zeros(attributes.result, positions);
  ForEachProduct(x.shape, dweight.shape, dy.shape, attributes,
                 [&](size_t i_y, size_t i_x, size_t i_w) { Add(dweight, i_w, dy.data[i_y] * x.data[i_x]); });
  Tensor dbias = Zeros(Shape{dy.shape[3]}, positions);
  for (size_t i = 0; i < dy.data.size(); ++i) Add(dbias, i % dbias.data.size(), dy.data[i]);
  return {dweight, dbias};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kConv2d, .run = Conv2d},
    {.kind = OpKind::kConv2dInputGrad, .run = Conv2dInputGrad},
    {.kind = OpKind::kConv2dWeightGrad, .run = Conv2dWeightGrad},
};

}  // namespace

std::span<const OpFunction> ConvolutionRows() { return kRows; }

}  // namespace lockstep::reference
