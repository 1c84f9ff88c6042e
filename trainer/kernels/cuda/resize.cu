// Images that become larger or smaller: a thread does a pack of channels of one cell of the result. Gradients gather
// from the cells of y that read one of x, in row-major order of y.
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/resize.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::LinearSource;

/// Images x [n, h, w, c], and their resized copies y.
struct ResizeGeometry {
  kernels::ResizedSide down, along;
  int64_t n, c;

  ResizeGeometry(const Shape& x, const Shape& y)
      : down{x.dim(1), y.dim(1)}, along{x.dim(2), y.dim(2)}, n(x.dim(0)), c(x.dim(3)) {}
};

template <typename T, int kPack>
struct ResizeCells {
  static constexpr int kThreads = 256;

  ResizeGeometry g;
  const T* x;
  T* y;

  int64_t threads() const { return g.n * g.down.to * g.along.to * g.c / kPack; }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = block.index() * kThreads + t;
      const Quotient cell = Divide(index, g.c / kPack);
      const Quotient row = Divide(cell.quotient, g.along.to);
      const Quotient image = Divide(row.quotient, g.down.to);
      if (image.quotient >= g.n) return;
      const int64_t from_row = image.quotient * g.down.from + g.down.SourceOf(image.remainder);
      const int64_t from = from_row * g.along.from + g.along.SourceOf(row.remainder);
      float values[kPack];
      LoadPack<kPack>(x + from * g.c + cell.remainder * kPack, values);
      StorePack<kPack>(values, y + index * kPack);
    });
  }
};

/// dx = the sum of each cell's copies in dy.
template <typename T, int kPack>
struct ResizeCellsGrad {
  static constexpr int kThreads = 256;

  ResizeGeometry g;
  const T* dy;
  T* dx;

  int64_t threads() const { return g.n * g.down.from * g.along.from * g.c / kPack; }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = block.index() * kThreads + t;
      const Quotient cell = Divide(index, g.c / kPack);
      const Quotient row = Divide(cell.quotient, g.along.from);
      const Quotient image = Divide(row.quotient, g.down.from);
      if (image.quotient >= g.n) return;
      const int64_t bottom = g.down.FirstCopy(image.remainder + 1), right = g.along.FirstCopy(row.remainder + 1);
      float sum[kPack] = {};
      for (int64_t i = g.down.FirstCopy(image.remainder); i < bottom; ++i) {
        const T* line = dy + (image.quotient * g.down.to + i) * g.along.to * g.c + cell.remainder * kPack;
        for (int64_t j = g.along.FirstCopy(row.remainder); j < right; ++j) {
          float values[kPack];
          LoadPack<kPack>(line + j * g.c, values);
          LOCKSTEP_UNROLL
          for (int k = 0; k < kPack; ++k) sum[k] += values[k];
        }
      }
      StorePack<kPack>(sum, dx + index * kPack);
    });
  }
};

/// Images x [n, h, w, c], and their bilinear copies y.
struct LinearGeometry {
  kernels::LinearSide down, along;
  int64_t n, c;

  LinearGeometry(const Shape& x, const Shape& y, bool align_corners)
      : down(x.dim(1), y.dim(1), align_corners), along(x.dim(2), y.dim(2), align_corners), n(x.dim(0)), c(x.dim(3)) {}
};

template <typename T, int kPack>
struct LinearCells {
  static constexpr int kThreads = 256;

  LinearGeometry g;
  const T* x;
  T* y;

  int64_t threads() const { return g.n * g.down.to * g.along.to * g.c / kPack; }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = block.index() * kThreads + t;
      const Quotient cell = Divide(index, g.c / kPack);
      const Quotient place = Divide(cell.quotient, g.along.to);
      const Quotient image = Divide(place.quotient, g.down.to);
      if (image.quotient >= g.n) return;
      const LinearSource row = g.down.SourceOf(image.remainder), column = g.along.SourceOf(place.remainder);
      const T* const from = x + cell.remainder * kPack;
      const int64_t top = (image.quotient * g.down.from + row.cell) * g.along.from + column.cell;
      // A neighbour of weight 0 lies behind the last cell: the cell itself stands for it.
      const int64_t next_row = row.next_weight == 0 ? 0 : g.along.from, next_column = column.next_weight == 0 ? 0 : 1;
      float above[kPack], above_next[kPack], below[kPack], below_next[kPack];
      LoadPack<kPack>(from + top * g.c, above);
      LoadPack<kPack>(from + (top + next_column) * g.c, above_next);
      LoadPack<kPack>(from + (top + next_row) * g.c, below);
      LoadPack<kPack>(from + (top + next_row + next_column) * g.c, below_next);
      LOCKSTEP_UNROLL
      for (int k = 0; k < kPack; ++k) {
        above[k] = (above[k] * column.weight + above_next[k] * column.next_weight) * row.weight +
                   (below[k] * column.weight + below_next[k] * column.next_weight) * row.next_weight;
      }
      StorePack<kPack>(above, y + index * kPack);
    });
  }
};

/// dx = the sum of what each cell gave to y, by dy.
template <typename T, int kPack>
struct LinearCellsGrad {
  static constexpr int kThreads = 256;

  LinearGeometry g;
  const T* dy;
  T* dx;

  int64_t threads() const { return g.n * g.down.from * g.along.from * g.c / kPack; }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = block.index() * kThreads + t;
      const Quotient cell = Divide(index, g.c / kPack);
      const Quotient place = Divide(cell.quotient, g.along.from);
      const Quotient image = Divide(place.quotient, g.down.from);
      if (image.quotient >= g.n) return;
      const int64_t row = image.remainder, column = place.remainder;
      const int64_t bottom = g.down.EndOfReaders(row), left = g.along.FirstReader(column),
                    right = g.along.EndOfReaders(column);
      float sum[kPack] = {};
      for (int64_t i = g.down.FirstReader(row); i < bottom; ++i) {
        const float of_row = g.down.SourceOf(i).WeightOf(row);
        const T* line = dy + (image.quotient * g.down.to + i) * g.along.to * g.c + cell.remainder * kPack;
        for (int64_t j = left; j < right; ++j) {
          const float weight = of_row * g.along.SourceOf(j).WeightOf(column);
          float values[kPack];
          LoadPack<kPack>(line + j * g.c, values);
          LOCKSTEP_UNROLL
          for (int k = 0; k < kPack; ++k) sum[k] += values[k] * weight;
        }
      }
      StorePack<kPack>(sum, dx + index * kPack);
    });
  }
};

/// A kernel whose threads each make a pack of channels of one cell.
template <template <typename, int> typename Resize, typename Geometry>
std::unique_ptr<Kernel> PrepareResize(const KernelContext& context, const Geometry& geometry) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({geometry.c}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const Resize<T, kPack> kernel{geometry, context.Input<T>(0), context.Output<T>(0)};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.threads(), kernel.kThreads, 1), kernel);
      });
    });
  });
}

std::unique_ptr<Kernel> PrepareResizeNearest(const KernelContext& context) {
  const ResizeGeometry geometry(context.InputShape(0), context.OutputShape(0));
  return PrepareResize<ResizeCells>(context, geometry);
}

std::unique_ptr<Kernel> PrepareResizeNearestGrad(const KernelContext& context) {
  const ResizeGeometry geometry(context.OutputShape(0), context.InputShape(0));
  return PrepareResize<ResizeCellsGrad>(context, geometry);
}

std::unique_ptr<Kernel> PrepareResizeLinear(const KernelContext& context) {
  const LinearGeometry geometry(context.InputShape(0), context.OutputShape(0),
                                context.Attributes<graph::ResizeAttributes>().align_corners);
  return PrepareResize<LinearCells>(context, geometry);
}

std::unique_ptr<Kernel> PrepareResizeLinearGrad(const KernelContext& context) {
  const LinearGeometry geometry(context.OutputShape(0), context.InputShape(0),
                                context.Attributes<graph::ResizeAttributes>().align_corners);
  return PrepareResize<LinearCellsGrad>(context, geometry);
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kResizeNearest, .prepare = PrepareResizeNearest},
    {.kind = OpKind::kResizeNearestGrad, .prepare = PrepareResizeNearestGrad},
    {.kind = OpKind::kResizeLinear, .prepare = PrepareResizeLinear},
    {.kind = OpKind::kResizeLinearGrad, .prepare = PrepareResizeLinearGrad},
};

}  // namespace

std::span<const KernelRow> ResizeRows() { return kRows; }

}  // namespace lockstep::cuda
