// Ops that move elements: exact.
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

/// Calls visit(i_image, i_flat) for each element of an image [n, h, w, c] and its place in [n, c * h * w].
template <typename Visit>
void ForEachFlattened(const Shape& image, Visit visit) {
  const int64_t cells = image[1] * image[2], channels = image[3];
  for (int64_t n = 0; n < image[0]; ++n) {
    for (int64_t cell = 0; cell < cells; ++cell) {
      for (int64_t c = 0; c < channels; ++c) {
        visit(static_cast<size_t>((n * cells + cell) * channels + c),
              static_cast<size_t>((n * channels + c) * cells + cell));
      }
    }
  }
}

/// Calls visit(i_x, i_y) for each element of x that comes through.
template <typename Visit>
void ForEachPadded(const Shape& x, const Shape& y, int stride, Visit visit) {
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t row = 0; row < y[1]; ++row) {
      for (int64_t column = 0; column < y[2]; ++column) {
        for (int64_t c = 0; c < x[3]; ++c) {
          visit(static_cast<size_t>(((n * x[1] + row * stride) * x[2] + column * stride) * x[3] + c),
                static_cast<size_t>(((n * y[1] + row) * y[2] + column) * y[3] + c));
        }
      }
    }
  }
}

std::vector<Tensor> Reshape(const Call& call) {
  Tensor y = Zeros(call.op.as<graph::ReshapeAttributes>().shape, 1);
  CHECK(y.data.size() == call.in(0).data.size());
  y.data = call.in(0).data;
  return {y};
}

std::vector<Tensor> Flatten(const Call& call) {
  const Tensor& x = call.in(0);
  Tensor y = Zeros(Shape{x.shape[0], x.shape[1] * x.shape[2] * x.shape[3]}, 1);
  ForEachFlattened(x.shape, [&](size_t image, size_t flat) { y.data[flat] = x.data[image]; });
  return {y};
}

std::vector<Tensor> FlattenGrad(const Call& call) {
  Tensor dx = Zeros(call.op.as<graph::ReshapeAttributes>().shape, 1);
  ForEachFlattened(dx.shape, [&](size_t image, size_t flat) { dx.data[image] = call.in(0).data[flat]; });
  return {dx};
}

std::vector<Tensor> PadChannels(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<graph::PadChannelsAttributes>();
  const auto kept = [&](int64_t size) { return (size + attributes.stride - 1) / attributes.stride; };
  Tensor y = Zeros(Shape{x.shape[0], kept(x.shape[1]), kept(x.shape[2]), attributes.channels}, 1);
  ForEachPadded(x.shape, y.shape, attributes.stride, [&](size_t i_x, size_t i_y) { y.data[i_y] = x.data[i_x]; });
  return {y};
}

std::vector<Tensor> PadChannelsGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const auto& attributes = call.op.as<graph::PadChannelsAttributes>();
  Tensor dx = Zeros(attributes.result, 1);
  ForEachPadded(dx.shape, dy.shape, attributes.stride, [&](size_t i_x, size_t i_y) { dx.data[i_x] = dy.data[i_y]; });
  return {dx};
}

/// Calls visit(i_y, i_x) for each element of y and the one of x that it is, in row-major order of y.
template <typename Visit>
void ForEachCopy(const Shape& x, const Shape& y, Visit visit) {
  for (int64_t i_y = 0; i_y < y.size(); ++i_y) {
    const int64_t c = i_y % y[3], column = i_y / y[3] % y[2], row = i_y / y[3] / y[2] % y[1],
                  n = i_y / (y.size() / y[0]);
    const int64_t x_row = row * x[1] / y[1], x_column = column * x[2] / y[2];
    visit(static_cast<size_t>(i_y), static_cast<size_t>(((n * x[1] + x_row) * x[2] + x_column) * x[3] + c));
  }
}

std::vector<Tensor> ResizeNearest(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<graph::ResizeAttributes>();
  Tensor y = Zeros(Shape{x.shape[0], attributes.height, attributes.width, x.shape[3]}, 1);
  ForEachCopy(x.shape, y.shape, [&](size_t i_y, size_t i_x) { y.data[i_y] = x.data[i_x]; });
  return {y};
}

std::vector<Tensor> ResizeNearestGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Shape& x = call.op.as<graph::ResizeAttributes>().result;
  const auto copies = [](int64_t from, int64_t to) { return (to + from - 1) / from; };
  Tensor dx = Zeros(x, copies(x[1], dy.shape[1]) * copies(x[2], dy.shape[2]));
  ForEachCopy(x, dy.shape, [&](size_t i_y, size_t i_x) { Add(dx, i_x, dy.data[i_y]); });
  return {dx};
}

std::vector<Tensor> Concat(const Call& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  const int64_t p = a.shape[-1], q = b.shape[-1];
  Tensor y = Zeros(WithLast(a.shape, p + q), 1);
  for (size_t i = 0; i < y.data.size(); ++i) {
    const auto row = static_cast<int64_t>(i) / (p + q), column = static_cast<int64_t>(i) % (p + q);
    y.data[i] =
        column < p ? a.data[static_cast<size_t>(row * p + column)] : b.data[static_cast<size_t>(row * q + column - p)];
  }
  return {y};
}

std::vector<Tensor> Slice(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& [begin, end] = call.op.as<graph::SliceAttributes>();
  Tensor y = Zeros(WithLast(x.shape, end - begin), 1);
  for (size_t i = 0; i < y.data.size(); ++i) {
    const auto row = static_cast<int64_t>(i) / (end - begin), column = static_cast<int64_t>(i) % (end - begin);
    y.data[i] = x.data[static_cast<size_t>(row * x.shape[-1] + begin + column)];
  }
  return {y};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kResizeNearest, .run = ResizeNearest},
    {.kind = OpKind::kResizeNearestGrad, .run = ResizeNearestGrad},
    {.kind = OpKind::kReshape, .run = Reshape},
    {.kind = OpKind::kFlatten, .run = Flatten},
    {.kind = OpKind::kFlattenGrad, .run = FlattenGrad},
    {.kind = OpKind::kPadChannels, .run = PadChannels},
    {.kind = OpKind::kPadChannelsGrad, .run = PadChannelsGrad},
    {.kind = OpKind::kConcat, .run = Concat},
    {.kind = OpKind::kSlice, .run = Slice},
};

}  // namespace

std::span<const OpFunction> LayoutRows() { return kRows; }

}  // namespace lockstep::reference
