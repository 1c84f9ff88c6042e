// Pooling. Maxima are exact; averages and the gradients are sums over the cells of a window, or over the windows that
// hold a cell, and K is the longest of them.
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

using graph::Pool2dAttributes;

/// Calls visit(i_y, i_x, place) for each cell of the image in each window, in row-major order of places.
template <typename Visit>
void ForEachCell(const Shape& x, const Shape& y, const Pool2dAttributes& attributes, Visit visit) {
  const graph::Pair kernel = attributes.kernel, stride = attributes.stride, padding = attributes.padding;
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t row = 0; row < y[1]; ++row) {
      for (int64_t column = 0; column < y[2]; ++column) {
        for (int place = 0; place < kernel.height * kernel.width; ++place) {
          const int64_t x_row = row * stride.height + place / kernel.width - padding.height;
          const int64_t x_column = column * stride.width + place % kernel.width - padding.width;
          if (x_row < 0 || x_row >= x[1] || x_column < 0 || x_column >= x[2]) continue;
          for (int64_t c = 0; c < y[3]; ++c) {
            visit(static_cast<size_t>(((n * y[1] + row) * y[2] + column) * y[3] + c),
                  static_cast<size_t>(((n * x[1] + x_row) * x[2] + x_column) * x[3] + c), place);
          }
        }
      }
    }
  }
}

Shape PooledShape(const Shape& x, const Pool2dAttributes& attributes) {
  const graph::Pair kernel = attributes.kernel, stride = attributes.stride, padding = attributes.padding;
  return {x[0], (x[1] + 2 * padding.height - kernel.height) / stride.height + 1,
          (x[2] + 2 * padding.width - kernel.width) / stride.width + 1, x[3]};
}

/// How many windows can hold one cell.
int64_t Overlap(const Pool2dAttributes& attributes) {
  const graph::Pair kernel = attributes.kernel, stride = attributes.stride;
  const int64_t down = (kernel.height + stride.height - 1) / stride.height;
  const int64_t along = (kernel.width + stride.width - 1) / stride.width;
  return down * along;
}

/// By element of y: the cells of its window that lie in the image.
std::vector<double> CellCounts(const Shape& x, const Shape& y, const Pool2dAttributes& attributes) {
  std::vector<double> counts(static_cast<size_t>(y.size()));
  ForEachCell(x, y, attributes, [&](size_t i_y, size_t, int) { counts[i_y] += 1; });
  return counts;
}

std::vector<Tensor> MaxPool2d(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<Pool2dAttributes>();
  Tensor y = Zeros(PooledShape(x.shape, attributes), 1);
  Tensor index = Zeros(y.shape, 1);
  std::vector<bool> seen(y.data.size());
  ForEachCell(x.shape, y.shape, attributes, [&](size_t i_y, size_t i_x, int place) {
    if (seen[i_y] && !(x.data[i_x] > y.data[i_y])) return;
    seen[i_y] = true;
    y.data[i_y] = x.data[i_x];
    index.data[i_y] = place;
  });
  return {y, index};
}

std::vector<Tensor> MaxPool2dGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Tensor& index = call.in(1);
  const auto& attributes = call.op.as<Pool2dAttributes>();
  Tensor dx = Zeros(attributes.result, Overlap(attributes));
  ForEachCell(dx.shape, dy.shape, attributes, [&](size_t i_y, size_t i_x, int place) {
    if (index.data[i_y] == place) Add(dx, i_x, dy.data[i_y]);
  });
  return {dx};
}

std::vector<Tensor> AveragePool2d(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<Pool2dAttributes>();
  Tensor y = Zeros(PooledShape(x.shape, attributes), attributes.kernel.height * attributes.kernel.width);
  const std::vector<double> counts = CellCounts(x.shape, y.shape, attributes);
  ForEachCell(x.shape, y.shape, attributes,
              [&](size_t i_y, size_t i_x, int) { Add(y, i_y, x.data[i_x] / counts[i_y]); });
  return {y};
}

std::vector<Tensor> AveragePool2dGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const auto& attributes = call.op.as<Pool2dAttributes>();
  Tensor dx = Zeros(attributes.result, Overlap(attributes));
  const std::vector<double> counts = CellCounts(dx.shape, dy.shape, attributes);
  ForEachCell(dx.shape, dy.shape, attributes,
              [&](size_t i_y, size_t i_x, int) { Add(dx, i_x, dy.data[i_y] / counts[i_y]); });
  return {dx};
}

std::vector<Tensor> GlobalAveragePool(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t cells = x.shape[1] * x.shape[2], channels = x.shape[3];
  Tensor y = Zeros(Shape{x.shape[0], channels}, cells);
  for (int64_t i = 0; i < x.shape.size(); ++i) {
    const int64_t n = i / (cells * channels), c = i % channels;
    Add(y, static_cast<size_t>(n * channels + c), x.data[static_cast<size_t>(i)] / static_cast<double>(cells));
  }
  return {y};
}

std::vector<Tensor> GlobalAveragePoolGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const Shape& x = call.op.as<graph::ReshapeAttributes>().shape;
  const int64_t cells = x[1] * x[2], channels = x[3];
  Tensor dx = Zeros(x, 1);
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t n = i / (cells * channels), c = i % channels;
    Add(dx, static_cast<size_t>(i), dy.data[static_cast<size_t>(n * channels + c)] / static_cast<double>(cells));
  }
  return {dx};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kMaxPool2d, .run = MaxPool2d},
    {.kind = OpKind::kMaxPool2dGrad, .run = MaxPool2dGrad},
    {.kind = OpKind::kAveragePool2d, .run = AveragePool2d},
    {.kind = OpKind::kAveragePool2dGrad, .run = AveragePool2dGrad},
    {.kind = OpKind::kGlobalAveragePool, .run = GlobalAveragePool},
    {.kind = OpKind::kGlobalAveragePoolGrad, .run = GlobalAveragePoolGrad},
};

}  // namespace

std::span<const OpFunction> PoolingRows() { return kRows; }

}  // namespace lockstep::reference
