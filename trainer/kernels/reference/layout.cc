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

std::vector<Tensor> Concat(const Call& call) {
  const Shape& first = call.in(0).shape;
  int axis = call.op.as<graph::ConcatAttributes>().axis;
  if (axis < 0) axis += first.rank();
  std::vector<int64_t> dims(first.dims().begin(), first.dims().end());
  int64_t& size = dims[static_cast<size_t>(axis)];
  size = 0;
  for (size_t i = 0; i < call.inputs.size(); ++i) size += call.in(i).shape.dim(axis);
  int64_t inner = 1;
  for (int d = axis + 1; d < first.rank(); ++d) inner *= first.dim(d);
  Tensor y = Zeros(Shape(std::span<const int64_t>(dims)), 1);
  for (int64_t at = 0; at < y.shape.size(); ++at) {
    int64_t place = at / inner % size;
    size_t i = 0;
    while (place >= call.in(i).shape.dim(axis)) place -= call.in(i++).shape.dim(axis);
    const int64_t row = at / inner / size * call.in(i).shape.dim(axis) + place;
    y.data[static_cast<size_t>(at)] = call.in(i).data[static_cast<size_t>(row * inner + at % inner)];
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

std::vector<Tensor> Fill(const Call& call) {
  const auto& attributes = call.op.as<graph::FillAttributes>();
  Tensor y = Zeros(attributes.shape, 2);
  const auto columns = static_cast<size_t>(attributes.shape[-1]);
  for (size_t i = 0; i < y.data.size(); ++i) {
    const double steps = double{attributes.step} * static_cast<double>(i % columns);
    Store(y, i, {attributes.value + steps, attributes.step == 0 ? 0 : std::abs(attributes.value) + std::abs(steps)});
  }
  return {y};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kFill, .run = Fill},
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
