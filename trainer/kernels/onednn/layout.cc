// Ops that move elements, and gradients of such.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"

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

/// Copies `columns` elements of each row from `from`, whose rows are `from_stride` apart, to `to`.
void CopyColumns(const float* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(to + r * to_stride, from + r * from_stride, static_cast<size_t>(columns) * sizeof(float));
  }
}

/// Operands of a concatenation as matrices whose rows follow each other in y's. Elements are of 4 bytes.
std::unique_ptr<Kernel> PrepareConcat(const KernelContext& context) {
  struct Part {
    const float* from;
    size_t bytes;  ///< of a row
  };
  const Shape& y = context.OutputShape(0);
  const int axis = context.Attributes<graph::ConcatAttributes>().axis;
  int64_t rows = 1;
  for (int d = 0; d < (axis < 0 ? axis + y.rank() : axis); ++d) rows *= y.dim(d);
  std::vector<Part> parts;
  for (size_t i = 0; i < context.op.inputs.size(); ++i) {
    parts.push_back({context.Input(i), static_cast<size_t>(context.InputShape(i).size() / rows) * sizeof(float)});
  }
  const int64_t columns = y.size() / rows;
  return MakeKernel([=, parts = std::move(parts), to = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, rows, std::max<int64_t>(1, 16384 / columns), [&](int, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        float* out = to + row * columns;
        for (const Part& part : parts) {
          const size_t width = part.bytes / sizeof(float);
          std::memcpy(out, part.from + static_cast<size_t>(row) * width, part.bytes);
          out += width;
        }
      }
    });
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

std::unique_ptr<Kernel> PrepareFill(const KernelContext& context) {
  const auto attributes = context.Attributes<graph::FillAttributes>();
  const int64_t columns = attributes.shape.dim(-1), rows = Rows(attributes.shape);
  return MakeKernel([=, y = context.Output(0)] {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < columns; ++i)
        y[r * columns + i] = attributes.value + attributes.step * static_cast<float>(i);
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kFill, .prepare = PrepareFill},
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
