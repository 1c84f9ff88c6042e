// Ops that move elements.
#include <utility>
#include <vector>

#include "trainer/kernels/cuda/blocks/copies.h"
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

std::unique_ptr<Kernel> PrepareReshape(const KernelContext& context) {
  const auto bytes = static_cast<size_t>(context.OutputShape(0).size() * SizeOf(context.InputType(0)));
  return MakeKernel([from = context.Input<void>(0), to = context.Output<void>(0), bytes, stream = &context.stream] {
    if (to != from) stream->Copy(to, from, bytes);
  });
}

std::unique_ptr<Kernel> PrepareFlatten(const KernelContext& context) {
  const Shape& x = context.InputShape(0);
  const DType type = context.InputType(0);
  return PrepareTransposes(type, context.Input<void>(0), type, context.Output<void>(0),
                           {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)}, context.stream);
}

std::unique_ptr<Kernel> PrepareFlattenGrad(const KernelContext& context) {
  const Shape& dx = context.OutputShape(0);
  const DType type = context.InputType(0);
  return PrepareTransposes(type, context.Input<void>(0), type, context.Output<void>(0),
                           {dx.dim(0), dx.dim(3), dx.dim(1) * dx.dim(2)}, context.stream);
}

/// `width` columns of each row, from one matrix to another.
template <typename T, int kPack>
struct CopyColumns {
  static constexpr int kThreads = 256;

  const T* from;  ///< at the first column to copy, as is `to`
  T* to;
  int64_t rows, width, from_columns, to_columns;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const Quotient at = Divide(block.index() * kThreads + t, width / kPack);
      if (at.quotient >= rows) return;
      float values[kPack];
      LoadPack<kPack>(from + at.quotient * from_columns + at.remainder * kPack, values);
      StorePack<kPack>(values, to + at.quotient * to_columns + at.remainder * kPack);
    });
  }
};

/// Columns of a matrix, from `first` on.
template <typename T>
struct Columns {
  T* matrix;
  int64_t columns;  ///< of the matrix
  int64_t first;
};

template <typename T>
void LaunchCopy(DeviceStream& stream, const Columns<const T>& from, const Columns<T>& to, int64_t rows, int64_t width) {
  WithPack<T>({from.columns, from.first, to.columns, to.first, width},
              [&]<int kPack>(std::integral_constant<int, kPack>) {
                using Copy = CopyColumns<T, kPack>;
                Launch(stream, BlocksFor(rows * (width / kPack), Copy::kThreads, 1),
                       Copy{from.matrix + from.first, to.matrix + to.first, rows, width, from.columns, to.columns});
              });
}

/// Calls run(T{}) with a type of which copies keep the bits of `type`: bf16, or float for types of 4 bytes.
template <typename F>
auto WithCopyType(DType type, F&& run) {
  return WithElementType(type == DType::kBF16 ? type : DType::kF32, run);
}

/// Operands as matrices whose rows follow each other in y's.
std::unique_ptr<Kernel> PrepareConcat(const KernelContext& context) {
  const Shape& y = context.OutputShape(0);
  const int axis = context.Attributes<graph::ConcatAttributes>().axis;
  int64_t rows = 1;
  for (int d = 0; d < (axis < 0 ? axis + y.rank() : axis); ++d) rows *= y.dim(d);
  return WithCopyType(context.InputType(0), [&]<typename T>(T) {
    std::vector<Columns<const T>> parts;
    for (size_t i = 0; i < context.op.inputs.size(); ++i) {
      parts.push_back({context.Input<T>(i), context.InputShape(i).size() / rows, 0});
    }
    return MakeKernel([rows, parts = std::move(parts), y = Columns<T>{context.Output<T>(0), y.size() / rows, 0},
                       stream = &context.stream] {
      Columns<T> to = y;
      for (const Columns<const T>& part : parts) {
        LaunchCopy<T>(*stream, part, to, rows, part.columns);
        to.first += part.columns;
      }
    });
  });
}

std::unique_ptr<Kernel> PrepareSlice(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), columns = context.InputShape(0).dim(-1);
  const auto& attributes = context.Attributes<graph::SliceAttributes>();
  return WithCopyType(context.InputType(0), [&]<typename T>(T) {
    return MakeKernel([=, begin = attributes.begin, width = attributes.end - attributes.begin, x = context.Input<T>(0),
                       y = context.Output<T>(0), stream = &context.stream] {
      LaunchCopy<T>(*stream, {x, columns, begin}, {y, width, 0}, rows, width);
    });
  });
}

/// Columns of x, from the first that is to be copied, to positions of the cache.
template <typename T, int kPack>
struct AppendPositions {
  static constexpr int kThreads = 256;

  const T* x;
  T* cache;
  const int32_t* first;  ///< by row
  int64_t rows, positions, x_columns, cache_positions, columns;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const Quotient token = Divide(block.index() * kThreads + t, columns / kPack);
      const Quotient row = Divide(token.quotient, positions);
      if (row.quotient >= rows) return;
      const int64_t position = first[row.quotient] + row.remainder;
      if (position >= cache_positions) return;
      float values[kPack];
      LoadPack<kPack>(x + token.quotient * x_columns + token.remainder * kPack, values);
      StorePack<kPack>(values, cache + (row.quotient * cache_positions + position) * columns + token.remainder * kPack);
    });
  }
};

/// Where y is the cache itself, only the new positions are written.
std::unique_ptr<Kernel> PrepareCacheAppend(const KernelContext& context) {
  const Shape &cache = context.InputShape(0), &x = context.InputShape(1);
  const int64_t begin = context.Attributes<graph::SliceAttributes>().begin;
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({cache.dim(2), x.dim(2), begin}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const T* from = context.Input<T>(0);
      T* y = context.Output<T>(0);
      const AppendPositions<T, kPack> kernel{context.Input<T>(1) + begin,
                                             y,
                                             context.Input<int32_t>(2),
                                             x.dim(0),
                                             x.dim(1),
                                             x.dim(2),
                                             cache.dim(1),
                                             cache.dim(2)};
      return MakeKernel([=, stream = &context.stream] {
        if (y != from) stream->Copy(y, from, static_cast<size_t>(cache.size()) * sizeof(T));
        Launch(*stream, BlocksFor(kernel.rows * kernel.positions * (kernel.columns / kPack), kernel.kThreads, 1),
               kernel);
      });
    });
  });
}

/// Images [n, h, w, c] as x, and [n, ceil(h / stride), ceil(w / stride), channels] as y: every stride-th cell.
struct PadGeometry {
  int64_t n, h, w, c, y_h, y_w, channels;
  int stride;

  PadGeometry(const Shape& x, const Shape& y, int stride)
      : n(x.dim(0)),
        h(x.dim(1)),
        w(x.dim(2)),
        c(x.dim(3)),
        y_h(y.dim(1)),
        y_w(y.dim(2)),
        channels(y.dim(3)),
        stride(stride) {}
};

/// y = x's cell where there is one, and 0 in new channels.
template <typename T, int kPack>
struct PadCells {
  static constexpr int kThreads = 256;

  PadGeometry g;
  const T* x;
  T* y;

  int64_t threads() const { return g.n * g.y_h * g.y_w * g.channels / kPack; }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = block.index() * kThreads + t;
      const Quotient cell = Divide(index, g.channels / kPack);
      const Quotient row = Divide(cell.quotient, g.y_w);
      const Quotient image = Divide(row.quotient, g.y_h);
      if (image.quotient >= g.n) return;
      const int64_t channel = cell.remainder * kPack;
      float values[kPack] = {};
      if (channel < g.c) {
        const int64_t from = (image.quotient * g.h + image.remainder * g.stride) * g.w + row.remainder * g.stride;
        LoadPack<kPack>(x + from * g.c + channel, values);
      }
      StorePack<kPack>(values, y + index * kPack);
    });
  }
};

/// dx = dy's cell where x's went there, else 0.
template <typename T, int kPack>
struct UnpadCells {
  static constexpr int kThreads = 256;

  PadGeometry g;
  const T* dy;
  T* dx;

  int64_t threads() const { return g.n * g.h * g.w * g.c / kPack; }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = block.index() * kThreads + t;
      const Quotient cell = Divide(index, g.c / kPack);
      const Quotient row = Divide(cell.quotient, g.w);
      const Quotient image = Divide(row.quotient, g.h);
      if (image.quotient >= g.n) return;
      const Quotient down = Divide(image.remainder, g.stride), along = Divide(row.remainder, g.stride);
      float values[kPack] = {};
      if (down.remainder == 0 && along.remainder == 0) {
        const int64_t from = (image.quotient * g.y_h + down.quotient) * g.y_w + along.quotient;
        LoadPack<kPack>(dy + from * g.channels + cell.remainder * kPack, values);
      }
      StorePack<kPack>(values, dx + index * kPack);
    });
  }
};

/// A kernel that moves packs of channels, whose numbers are `channels`, between images.
template <template <typename, int> typename Move, typename Geometry>
std::unique_ptr<Kernel> PrepareMove(const KernelContext& context, const Geometry& geometry,
                                    std::initializer_list<int64_t> channels) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>(channels, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const Move<T, kPack> kernel{geometry, context.Input<T>(0), context.Output<T>(0)};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.threads(), kernel.kThreads, 1), kernel);
      });
    });
  });
}

std::unique_ptr<Kernel> PreparePadChannels(const KernelContext& context) {
  const PadGeometry geometry(context.InputShape(0), context.OutputShape(0),
                             context.Attributes<graph::PadChannelsAttributes>().stride);
  return PrepareMove<PadCells>(context, geometry, {geometry.c, geometry.channels});
}

std::unique_ptr<Kernel> PreparePadChannelsGrad(const KernelContext& context) {
  const PadGeometry geometry(context.OutputShape(0), context.InputShape(0),
                             context.Attributes<graph::PadChannelsAttributes>().stride);
  return PrepareMove<UnpadCells>(context, geometry, {geometry.c, geometry.channels});
}

struct FillRows {
  static constexpr int kThreads = 256;

  float* y;
  int64_t size, columns;
  float value, step;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i < size) y[i] = value + step * static_cast<float>(Divide(i, columns).remainder);
    });
  }
};

std::unique_ptr<Kernel> PrepareFill(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::FillAttributes>();
  const FillRows kernel{context.Output<float>(0), attributes.shape.size(), attributes.shape.dim(-1), attributes.value,
                        attributes.step};
  return MakeKernel(
      [kernel, stream = &context.stream] { Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, 1), kernel); });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kFill, .prepare = PrepareFill},
    {.kind = OpKind::kReshape, .prepare = PrepareReshape},
    {.kind = OpKind::kFlatten, .prepare = PrepareFlatten},
    {.kind = OpKind::kFlattenGrad, .prepare = PrepareFlattenGrad},
    {.kind = OpKind::kPadChannels, .prepare = PreparePadChannels},
    {.kind = OpKind::kPadChannelsGrad, .prepare = PreparePadChannelsGrad},
    {.kind = OpKind::kConcat, .prepare = PrepareConcat},
    {.kind = OpKind::kSlice, .prepare = PrepareSlice},
    {.kind = OpKind::kCacheAppend, .prepare = PrepareCacheAppend},
};

}  // namespace

std::span<const KernelRow> LayoutRows() { return kRows; }

}  // namespace lockstep::cuda
