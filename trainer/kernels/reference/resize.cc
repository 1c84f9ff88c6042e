// Images that become larger or smaller. Copies are exact; bilinear cells are sums of four, and the gradients' K is the
// most cells of y that can have read one of x.
#include <algorithm>
#include <cmath>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

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

/// Where copy `i` of `to` lies between `from` cells.
double Place(int64_t i, int64_t from, int64_t to, bool align_corners) {
  if (!align_corners) return std::max((static_cast<double>((2 * i + 1) * from) / static_cast<double>(to) - 1) / 2, 0.0);
  return to == 1 ? 0.0 : static_cast<double>(i * (from - 1)) / static_cast<double>(to - 1);
}

/// Calls visit(i_y, i_x, weight) for each element of y and each of x that it is a weighted sum of.
template <typename Visit>
void ForEachWeight(const Shape& x, const Shape& y, bool align_corners, Visit visit) {
  for (int64_t i_y = 0; i_y < y.size(); ++i_y) {
    const int64_t c = i_y % y[3], column = i_y / y[3] % y[2], row = i_y / y[3] / y[2] % y[1],
                  n = i_y / (y.size() / y[0]);
    const double down = Place(row, x[1], y[1], align_corners), along = Place(column, x[2], y[2], align_corners);
    for (const int64_t i : {0, 1}) {
      for (const int64_t j : {0, 1}) {
        const int64_t x_row = std::min(static_cast<int64_t>(std::floor(down)) + i, x[1] - 1);
        const int64_t x_column = std::min(static_cast<int64_t>(std::floor(along)) + j, x[2] - 1);
        const double of_row = i == 1 ? down - std::floor(down) : 1 - (down - std::floor(down));
        const double of_column = j == 1 ? along - std::floor(along) : 1 - (along - std::floor(along));
        visit(static_cast<size_t>(i_y), static_cast<size_t>(((n * x[1] + x_row) * x[2] + x_column) * x[3] + c),
              of_row * of_column);
      }
    }
  }
}

std::vector<Tensor> ResizeLinear(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<graph::ResizeAttributes>();
  Tensor y = Zeros(Shape{x.shape[0], attributes.height, attributes.width, x.shape[3]}, 4);
  ForEachWeight(x.shape, y.shape, attributes.align_corners,
                [&](size_t i_y, size_t i_x, double weight) { Add(y, i_y, x.data[i_x] * weight); });
  return {y};
}

std::vector<Tensor> ResizeLinearGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const auto& attributes = call.op.as<graph::ResizeAttributes>();
  const Shape& x = attributes.result;
  const auto readers = [](int64_t from, int64_t to) { return 2 * ((to + from - 1) / from) + 1; };
  Tensor dx = Zeros(x, readers(x[1], dy.shape[1]) * readers(x[2], dy.shape[2]));
  ForEachWeight(x, dy.shape, attributes.align_corners,
                [&](size_t i_y, size_t i_x, double weight) { Add(dx, i_x, dy.data[i_y] * weight); });
  return {dx};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kResizeNearest, .run = ResizeNearest},
    {.kind = OpKind::kResizeNearestGrad, .run = ResizeNearestGrad},
    {.kind = OpKind::kResizeLinear, .run = ResizeLinear},
    {.kind = OpKind::kResizeLinearGrad, .run = ResizeLinearGrad},
};

}  // namespace

std::span<const OpFunction> ResizeRows() { return kRows; }

}  // namespace lockstep::reference
