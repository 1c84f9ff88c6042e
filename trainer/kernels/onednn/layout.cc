// Ops that move elements, and gradients of such.
#include <algorithm>
#include <cstring>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"
#include "trainer/kernels/resize.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

std::unique_ptr<Kernel> PrepareReshape(const KernelContext& context) {
  const auto* from = context.Input<std::byte>(0);
  auto* to = context.Output<std::byte>(0);
  const size_t bytes =
      static_cast<size_t>(context.OutputShape(0).size() * SizeOf(context.graph.value(context.op.inputs[0]).dtype));
  return MakeKernel([=] {
    if (to != from) std::memcpy(to, from, bytes);
  });
}

/// to [columns, rows] = the transpose of from [rows, columns], in squares that stay in cache.
LOCKSTEP_ISA_CLONES
void Transpose(const float* __restrict from, float* __restrict to, int64_t rows, int64_t columns) {
  constexpr int64_t kSquare = 32;
  for (int64_t c0 = 0; c0 < columns; c0 += kSquare) {
    const int64_t c1 = std::min(c0 + kSquare, columns);
    for (int64_t r0 = 0; r0 < rows; r0 += kSquare) {
      const int64_t r1 = std::min(r0 + kSquare, rows);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) to[c * rows + r] = from[r * columns + c];
      }
    }
  }
}

std::unique_ptr<Kernel> PrepareTransposes(const KernelContext& context, int64_t batch, int64_t rows, int64_t columns) {
  return MakeKernel([=, from = context.Input(0), to = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, batch, 1, [=](int, int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        Transpose(from + n * rows * columns, to + n * rows * columns, rows, columns);
      }
    });
  });
}

std::unique_ptr<Kernel> PrepareFlatten(const KernelContext& context) {
  const Shape& x = context.InputShape(0);
  return PrepareTransposes(context, x.dim(0), x.dim(1) * x.dim(2), x.dim(3));
}

std::unique_ptr<Kernel> PrepareFlattenGrad(const KernelContext& context) {
  const Shape& dx = context.OutputShape(0);
  return PrepareTransposes(context, dx.dim(0), dx.dim(3), dx.dim(1) * dx.dim(2));
}

std::unique_ptr<Kernel> PreparePadChannels(const KernelContext& context) {
  const Shape x = context.InputShape(0), y = context.OutputShape(0);
  const int64_t stride = context.Attributes<graph::PadChannelsAttributes>().stride;
  return MakeKernel([=, from = context.Input(0), to = context.Output(0)] {
    const int64_t kept = std::min(x.dim(3), y.dim(3)), added = y.dim(3) - kept;
    float* out = to;
    for (int64_t n = 0; n < y.dim(0); ++n) {
      for (int64_t h = 0; h < y.dim(1); ++h) {
        for (int64_t w = 0; w < y.dim(2); ++w, out += y.dim(3)) {
          const float* in = from + ((n * x.dim(1) + h * stride) * x.dim(2) + w * stride) * x.dim(3);
          std::copy(in, in + kept, out);
          std::fill(out + kept, out + kept + added, 0.0f);
        }
      }
    }
  });
}

std::unique_ptr<Kernel> PreparePadChannelsGrad(const KernelContext& context) {
  const Shape y = context.InputShape(0), x = context.OutputShape(0);
  const int64_t stride = context.Attributes<graph::PadChannelsAttributes>().stride;
  return MakeKernel([=, dy = context.Input(0), dx = context.Output(0)] {
    const int64_t kept = std::min(x.dim(3), y.dim(3));
    std::fill(dx, dx + x.size(), 0.0f);
    const float* in = dy;
    for (int64_t n = 0; n < y.dim(0); ++n) {
      for (int64_t h = 0; h < y.dim(1); ++h) {
        for (int64_t w = 0; w < y.dim(2); ++w, in += y.dim(3)) {
          std::copy(in, in + kept, dx + ((n * x.dim(1) + h * stride) * x.dim(2) + w * stride) * x.dim(3));
        }
      }
    }
  });
}

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

/// Copies `columns` elements of each row from `from`, whose rows are `from_stride` apart, to `to`.
void CopyColumns(const float* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(to + r * to_stride, from + r * from_stride, static_cast<size_t>(columns) * sizeof(float));
  }
}

std::unique_ptr<Kernel> PrepareConcat(const KernelContext& context) {
  const int64_t p = context.InputShape(0).dim(-1), q = context.InputShape(1).dim(-1);
  return MakeKernel(
      [=, rows = Rows(context.OutputShape(0)), a = context.Input(0), b = context.Input(1), y = context.Output(0)] {
        CopyColumns(a, p, y, p + q, rows, p);
        CopyColumns(b, q, y + p, p + q, rows, q);
      });
}

std::unique_ptr<Kernel> PrepareSlice(const KernelContext& context) {
  const int64_t from_stride = context.InputShape(0).dim(-1), columns = context.OutputShape(0).dim(-1);
  const int64_t begin = context.Attributes<graph::SliceAttributes>().begin;
  return MakeKernel([=, rows = Rows(context.OutputShape(0)), x = context.Input(0), y = context.Output(0)] {
    CopyColumns(x + begin, from_stride, y, columns, rows, columns);
  });
}

/// Where y is the cache itself, only the new positions are written.
std::unique_ptr<Kernel> PrepareCacheAppend(const KernelContext& context) {
  const Shape &cache = context.InputShape(0), &x = context.InputShape(1);
  const int64_t begin = context.Attributes<graph::SliceAttributes>().begin;
  return MakeKernel([=, from_cache = context.Input(0), from = context.Input(1), first = context.Input<int32_t>(2),
                     y = context.Output(0)] {
    if (y != from_cache) std::memcpy(y, from_cache, static_cast<size_t>(cache.size()) * sizeof(float));
    for (int64_t row = 0; row < x[0]; ++row) {
      const int64_t rows = std::min(x[1], cache[1] - first[row]);
      CopyColumns(from + row * x[1] * x[2] + begin, x[2], y + (row * cache[1] + first[row]) * cache[2], cache[2], rows,
                  cache[2]);
    }
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kResizeNearest, .prepare = PrepareResizeNearest},
    {.kind = OpKind::kResizeNearestGrad, .prepare = PrepareResizeNearestGrad},
    {.kind = OpKind::kReshape, .prepare = PrepareReshape},
    {.kind = OpKind::kFlatten, .prepare = PrepareFlatten},
    {.kind = OpKind::kFlattenGrad, .prepare = PrepareFlattenGrad},
    {.kind = OpKind::kConcat, .prepare = PrepareConcat},
    {.kind = OpKind::kSlice, .prepare = PrepareSlice},
    {.kind = OpKind::kCacheAppend, .prepare = PrepareCacheAppend},
    {.kind = OpKind::kPadChannels, .prepare = PreparePadChannels},
    {.kind = OpKind::kPadChannelsGrad, .prepare = PreparePadChannelsGrad},
};

}  // namespace

std::span<const KernelRow> LayoutRows() { return kRows; }

}  // namespace lockstep::onednn
