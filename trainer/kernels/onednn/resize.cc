// Images that become larger or smaller: vectors of channels, cell by cell. Gradients gather from the cells of y that
// read one of x, in row-major order of y.
#include <cstring>
#include <vector>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"
#include "trainer/kernels/resize.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::LinearSide;
using kernels::LinearSource;

/// Images [n, h, w, c] as x, and their resized copies y.
struct Resize {
  kernels::ResizedSide down, along;
  int64_t n, channels;

  Resize(const Shape& x, const Shape& y)
      : down{x.dim(1), y.dim(1)}, along{x.dim(2), y.dim(2)}, n(x.dim(0)), channels(x.dim(3)) {}
  LOCKSTEP_HD int64_t x_row() const { return along.from * channels; }
  LOCKSTEP_HD int64_t y_row() const { return along.to * channels; }
  int64_t x_image() const { return down.from * x_row(); }
  int64_t y_image() const { return down.to * y_row(); }
};

/// A row that comes from the same one as the row before it is a copy of that.
LOCKSTEP_ISA_CLONES
void ResizeImage(const Resize& resize, const float* x, float* y) {
  const Resize r = resize;
  for (int64_t i = 0; i < r.down.to; ++i) {
    const int64_t source = r.down.SourceOf(i);
    float* row = y + i * r.y_row();
    if (i > 0 && r.down.SourceOf(i - 1) == source) {
      std::memcpy(row, row - r.y_row(), static_cast<size_t>(r.y_row()) * sizeof(float));
      continue;
    }
    for (int64_t j = 0; j < r.along.to; ++j) {
      const float* from = x + source * r.x_row() + r.along.SourceOf(j) * r.channels;
      float* to = row + j * r.channels;
      ForEachTile(r.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
        for (int v = 0; v < N; ++v) Store(to + k + v * kWidth<V>, Load<V>(from + k + v * kWidth<V>));
      });
    }
  }
}

LOCKSTEP_ISA_CLONES
void ResizeGradImage(const Resize& resize, const float* dy, float* dx) {
  const Resize r = resize;
  for (int64_t row = 0; row < r.down.from; ++row) {
    const int64_t top = r.down.FirstCopy(row), bottom = r.down.FirstCopy(row + 1);
    for (int64_t column = 0; column < r.along.from; ++column) {
      const int64_t left = r.along.FirstCopy(column), right = r.along.FirstCopy(column + 1);
      float* to = dx + row * r.x_row() + column * r.channels;
      ForEachTile(r.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
        V sum[N] = {};
        for (int64_t i = top; i < bottom; ++i) {
          for (int64_t j = left; j < right; ++j) {
            const float* from = dy + i * r.y_row() + j * r.channels + k;
            for (int v = 0; v < N; ++v) sum[v] += Load<V>(from + v * kWidth<V>);
          }
        }
        for (int v = 0; v < N; ++v) Store(to + k + v * kWidth<V>, sum[v]);
      });
    }
  }
}

std::unique_ptr<Kernel> PrepareResizeNearest(const KernelContext& context) {
  const Resize resize(context.InputShape(0), context.OutputShape(0));
  return MakeKernel([=, x = context.Input(0), y = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, resize.n, 1, [=](int, int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) ResizeImage(resize, x + n * resize.x_image(), y + n * resize.y_image());
    });
  });
}

std::unique_ptr<Kernel> PrepareResizeNearestGrad(const KernelContext& context) {
  const Resize resize(context.OutputShape(0), context.InputShape(0));
  return MakeKernel([=, dy = context.Input(0), dx = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, resize.n, 1, [=](int, int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        ResizeGradImage(resize, dy + n * resize.y_image(), dx + n * resize.x_image());
      }
    });
  });
}

/// Images [n, h, w, c] as x and their bilinear copies y, with what each row and column of y comes from.
struct LinearResize {
  LinearSide down, along;
  int64_t n, channels;
  std::vector<LinearSource> rows, columns;

  LinearResize(const Shape& x, const Shape& y, bool align_corners)
      : down(x.dim(1), y.dim(1), align_corners),
        along(x.dim(2), y.dim(2), align_corners),
        n(x.dim(0)),
        channels(x.dim(3)) {
    for (int64_t i = 0; i < down.to; ++i) rows.push_back(down.SourceOf(i));
    for (int64_t j = 0; j < along.to; ++j) columns.push_back(along.SourceOf(j));
  }
  int64_t x_row() const { return along.from * channels; }
  int64_t y_row() const { return along.to * channels; }
  int64_t x_image() const { return down.from * x_row(); }
  int64_t y_image() const { return down.to * y_row(); }
};

LOCKSTEP_ISA_CLONES
void LinearImage(const LinearResize& r, const float* x, float* y) {
  for (int64_t i = 0; i < r.down.to; ++i) {
    const LinearSource row = r.rows[static_cast<size_t>(i)];
    // A neighbour of weight 0 lies behind the last cell: the cell itself stands for it.
    const float* const top = x + row.cell * r.x_row();
    const float* const bottom = row.next_weight == 0 ? top : top + r.x_row();
    for (int64_t j = 0; j < r.along.to; ++j) {
      const LinearSource column = r.columns[static_cast<size_t>(j)];
      const int64_t left = column.cell * r.channels, right = left + (column.next_weight == 0 ? 0 : r.channels);
      float* const to = y + i * r.y_row() + j * r.channels;
      ForEachTile(r.channels, [&]<typename V, int N>(int64_t first) LOCKSTEP_INLINE {
        for (int v = 0; v < N; ++v) {
          const int64_t k = first + v * kWidth<V>;
          const V above = Load<V>(top + left + k) * column.weight + Load<V>(top + right + k) * column.next_weight;
          const V below = Load<V>(bottom + left + k) * column.weight + Load<V>(bottom + right + k) * column.next_weight;
          Store(to + k, above * row.weight + below * row.next_weight);
        }
      });
    }
  }
}

LOCKSTEP_ISA_CLONES
void LinearGradImage(const LinearResize& r, const float* dy, float* dx) {
  for (int64_t row = 0; row < r.down.from; ++row) {
    const int64_t top = r.down.FirstReader(row), bottom = r.down.EndOfReaders(row);
    for (int64_t column = 0; column < r.along.from; ++column) {
      const int64_t left = r.along.FirstReader(column), right = r.along.EndOfReaders(column);
      float* const to = dx + row * r.x_row() + column * r.channels;
      ForEachTile(r.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
        V sum[N] = {};
        for (int64_t i = top; i < bottom; ++i) {
          const float of_row = r.rows[static_cast<size_t>(i)].WeightOf(row);
          for (int64_t j = left; j < right; ++j) {
            const float weight = of_row * r.columns[static_cast<size_t>(j)].WeightOf(column);
            const float* const from = dy + i * r.y_row() + j * r.channels + k;
            for (int v = 0; v < N; ++v) sum[v] += Load<V>(from + v * kWidth<V>) * weight;
          }
        }
        for (int v = 0; v < N; ++v) Store(to + k + v * kWidth<V>, sum[v]);
      });
    }
  }
}

std::unique_ptr<Kernel> PrepareResizeLinear(const KernelContext& context) {
  const bool align_corners = context.Attributes<graph::ResizeAttributes>().align_corners;
  return MakeKernel([resize = LinearResize(context.InputShape(0), context.OutputShape(0), align_corners),
                     x = context.Input(0), y = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, resize.n, 1, [&](int, int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) LinearImage(resize, x + n * resize.x_image(), y + n * resize.y_image());
    });
  });
}

std::unique_ptr<Kernel> PrepareResizeLinearGrad(const KernelContext& context) {
  const bool align_corners = context.Attributes<graph::ResizeAttributes>().align_corners;
  return MakeKernel([resize = LinearResize(context.OutputShape(0), context.InputShape(0), align_corners),
                     dy = context.Input(0), dx = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, resize.n, 1, [&](int, int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        LinearGradImage(resize, dy + n * resize.y_image(), dx + n * resize.x_image());
      }
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kResizeNearest, .prepare = PrepareResizeNearest},
    {.kind = OpKind::kResizeNearestGrad, .prepare = PrepareResizeNearestGrad},
    {.kind = OpKind::kResizeLinear, .prepare = PrepareResizeLinear},
    {.kind = OpKind::kResizeLinearGrad, .prepare = PrepareResizeLinearGrad},
};

}  // namespace

std::span<const KernelRow> ResizeRows() { return kRows; }

}  // namespace lockstep::onednn
