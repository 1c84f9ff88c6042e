// Pooling over windows of images [n, h, w, c]: a thread does a pack of channels of one cell of the result.
// Gradients gather from the windows that hold a cell, in row-major order of windows.
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using graph::Pool2dAttributes;

struct Range {
  int begin, end;
  LOCKSTEP_HD int size() const { return end - begin; }
};

/// Cells of an image, and windows over them, along one side.
struct Side {
  int cells, windows, kernel, stride, padding;

  /// Of window `at`: its first cell, which may lie before the image.
  LOCKSTEP_HD int First(int at) const { return at * stride - padding; }
  /// The places 0 to kernel - 1 of window `at` that lie in the image.
  LOCKSTEP_HD Range Places(int at) const {
    const int first = First(at), left = cells - first;
    return {first < 0 ? -first : 0, left < kernel ? left : kernel};
  }
  /// The windows that hold cell `at`.
  LOCKSTEP_HD Range Windows(int at) const {
    const int before = at + padding - kernel + 1;
    const int begin = before > 0 ? (before + stride - 1) / stride : 0, last = (at + padding) / stride;
    return {begin, last < windows ? last + 1 : windows};
  }
};

/// Images x [n, h, w, c], results y [n, y_h, y_w, c].
struct PoolGeometry {
  int64_t n, c;
  int h, w, y_h, y_w;
  Side down, along;

  PoolGeometry(const Shape& x, const Shape& y, const Pool2dAttributes& a)
      : n(x.dim(0)),
        c(x.dim(3)),
        h(static_cast<int>(x.dim(1))),
        w(static_cast<int>(x.dim(2))),
        y_h(static_cast<int>(y.dim(1))),
        y_w(static_cast<int>(y.dim(2))),
        down{h, y_h, a.kernel.height, a.stride.height, a.padding.height},
        along{w, y_w, a.kernel.width, a.stride.width, a.padding.width} {}

  /// Cells of the image in window (p, q).
  LOCKSTEP_HD float Cells(int p, int q) const {
    return static_cast<float>(down.Places(p).size() * along.Places(q).size());
  }
};

/// A thread's cell (image, row, column) of images [n, h, w, c], and its first channel.
struct CellPlace {
  int64_t image, channel;
  int row, column;

  LOCKSTEP_HD CellPlace(int64_t thread, int h, int w, int64_t packs, int pack) {
    const Quotient cell = Divide(thread, packs);
    const Quotient line = Divide(cell.quotient, w);
    const Quotient place = Divide(line.quotient, h);
    image = place.quotient;
    row = static_cast<int>(place.remainder);
    column = static_cast<int>(line.remainder);
    channel = cell.remainder * pack;
  }
};

template <typename T, int kPack>
struct MaxPool {
  static constexpr int kThreads = 256;

  PoolGeometry g;
  const T* x;
  T* y;
  uint8_t* index;  ///< absent: nullptr

  int64_t threads() const { return g.n * g.y_h * g.y_w * (g.c / kPack); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t thread = block.index() * kThreads + t;
      const CellPlace cell(thread, g.y_h, g.y_w, g.c / kPack, kPack);
      if (cell.image >= g.n) return;
      const Range rows = g.down.Places(cell.row), columns = g.along.Places(cell.column);
      const int first_row = g.down.First(cell.row), first_column = g.along.First(cell.column);
      float most[kPack] = {};
      uint8_t place[kPack] = {};
      bool first = true;
      for (int i = rows.begin; i < rows.end; ++i) {
        const T* line = x + (cell.image * g.h + first_row + i) * g.w * g.c + cell.channel;
        for (int j = columns.begin; j < columns.end; ++j) {
          float v[kPack];
          LoadPack<kPack>(line + (first_column + j) * g.c, v);
          LOCKSTEP_UNROLL
          for (int k = 0; k < kPack; ++k) {
            if (!first && !(v[k] > most[k])) continue;
            most[k] = v[k];
            place[k] = static_cast<uint8_t>(i * g.along.kernel + j);
          }
          first = false;
        }
      }
      StorePack<kPack>(most, y + thread * kPack);
      if (index == nullptr) return;
      Pack<uint8_t, kPack> places;
      LOCKSTEP_UNROLL
      for (int k = 0; k < kPack; ++k) places.at[k] = place[k];
      *reinterpret_cast<Pack<uint8_t, kPack>*>(index + thread * kPack) = places;
    });
  }
};

/// dx = the sum of dy over the windows whose largest cell this is.
template <typename T, int kPack>
struct MaxPoolGrad {
  static constexpr int kThreads = 256;

  PoolGeometry g;
  const T* dy;
  const uint8_t* index;
  T* dx;

  int64_t threads() const { return g.n * g.h * g.w * (g.c / kPack); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t thread = block.index() * kThreads + t;
      const CellPlace cell(thread, g.h, g.w, g.c / kPack, kPack);
      if (cell.image >= g.n) return;
      const Range down = g.down.Windows(cell.row), along = g.along.Windows(cell.column);
      float sum[kPack] = {};
      for (int p = down.begin; p < down.end; ++p) {
        for (int q = along.begin; q < along.end; ++q) {
          const int64_t at = ((cell.image * g.y_h + p) * g.y_w + q) * g.c + cell.channel;
          const int place = (cell.row - g.down.First(p)) * g.along.kernel + cell.column - g.along.First(q);
          const auto places = *reinterpret_cast<const Pack<uint8_t, kPack>*>(index + at);
          float v[kPack];
          LoadPack<kPack>(dy + at, v);
          LOCKSTEP_UNROLL
          for (int k = 0; k < kPack; ++k) sum[k] += places.at[k] == place ? v[k] : 0.0f;
        }
      }
      StorePack<kPack>(sum, dx + thread * kPack);
    });
  }
};

/// y = the mean over the window's cells that lie in the image.
template <typename T, int kPack>
struct AveragePool {
  static constexpr int kThreads = 256;

  PoolGeometry g;
  const T* x;
  T* y;

  int64_t threads() const { return g.n * g.y_h * g.y_w * (g.c / kPack); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t thread = block.index() * kThreads + t;
      const CellPlace cell(thread, g.y_h, g.y_w, g.c / kPack, kPack);
      if (cell.image >= g.n) return;
      const Range rows = g.down.Places(cell.row), columns = g.along.Places(cell.column);
      const int first_row = g.down.First(cell.row), first_column = g.along.First(cell.column);
      float sum[kPack] = {};
      for (int i = rows.begin; i < rows.end; ++i) {
        const T* line = x + (cell.image * g.h + first_row + i) * g.w * g.c + cell.channel;
        for (int j = columns.begin; j < columns.end; ++j) {
          float v[kPack];
          LoadPack<kPack>(line + (first_column + j) * g.c, v);
          LOCKSTEP_UNROLL
          for (int k = 0; k < kPack; ++k) sum[k] += v[k];
        }
      }
      const float cells = g.Cells(cell.row, cell.column);
      LOCKSTEP_UNROLL
      for (int k = 0; k < kPack; ++k) sum[k] /= cells;
      StorePack<kPack>(sum, y + thread * kPack);
    });
  }
};

/// dx = the sum of dy over the windows that hold the cell, each by its number of cells.
template <typename T, int kPack>
struct AveragePoolGrad {
  static constexpr int kThreads = 256;

  PoolGeometry g;
  const T* dy;
  T* dx;

  int64_t threads() const { return g.n * g.h * g.w * (g.c / kPack); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t thread = block.index() * kThreads + t;
      const CellPlace cell(thread, g.h, g.w, g.c / kPack, kPack);
      if (cell.image >= g.n) return;
      const Range down = g.down.Windows(cell.row), along = g.along.Windows(cell.column);
      float sum[kPack] = {};
      for (int p = down.begin; p < down.end; ++p) {
        for (int q = along.begin; q < along.end; ++q) {
          const float cells = g.Cells(p, q);
          float v[kPack];
          LoadPack<kPack>(dy + ((cell.image * g.y_h + p) * g.y_w + q) * g.c + cell.channel, v);
          LOCKSTEP_UNROLL
          for (int k = 0; k < kPack; ++k) sum[k] += v[k] / cells;
        }
      }
      StorePack<kPack>(sum, dx + thread * kPack);
    });
  }
};

/// A kernel whose threads work alone, and that says how many it needs.
template <typename Kernel>
std::unique_ptr<engine::Kernel> Prepared(DeviceStream& stream, const Kernel& kernel) {
  return MakeKernel(
      [kernel, stream = &stream] { Launch(*stream, BlocksFor(kernel.threads(), Kernel::kThreads, 1), kernel); });
}

/// Calls run(T{}, pack) for images of `channels` channels.
template <typename Run>
std::unique_ptr<Kernel> WithVariant(DType type, int64_t channels, Run&& run) {
  return WithElementType(
      type, [&]<typename T>(T) { return WithPack<T>({channels}, [&](auto pack) { return run(T{}, pack); }); });
}

PoolGeometry ForwardGeometry(const OpContext& context) {
  return {context.InputShape(0), context.OutputShape(0), context.Attributes<Pool2dAttributes>()};
}
PoolGeometry GradGeometry(const OpContext& context) {
  return {context.OutputShape(0), context.InputShape(0), context.Attributes<Pool2dAttributes>()};
}

std::unique_ptr<Kernel> PrepareMaxPool(const KernelContext& context) {
  const PoolGeometry g = ForwardGeometry(context);
  return WithVariant(context.InputType(0), g.c, [&]<typename T, int kPack>(T, std::integral_constant<int, kPack>) {
    return Prepared(context.stream,
                    MaxPool<T, kPack>{g, context.Input<T>(0), context.Output<T>(0), context.Output<uint8_t>(1)});
  });
}

std::unique_ptr<Kernel> PrepareMaxPoolGrad(const KernelContext& context) {
  const PoolGeometry g = GradGeometry(context);
  return WithVariant(context.InputType(0), g.c, [&]<typename T, int kPack>(T, std::integral_constant<int, kPack>) {
    return Prepared(context.stream,
                    MaxPoolGrad<T, kPack>{g, context.Input<T>(0), context.Input<uint8_t>(1), context.Output<T>(0)});
  });
}

std::unique_ptr<Kernel> PrepareAveragePool(const KernelContext& context) {
  const PoolGeometry g = ForwardGeometry(context);
  return WithVariant(context.InputType(0), g.c, [&]<typename T, int kPack>(T, std::integral_constant<int, kPack>) {
    return Prepared(context.stream, AveragePool<T, kPack>{g, context.Input<T>(0), context.Output<T>(0)});
  });
}

std::unique_ptr<Kernel> PrepareAveragePoolGrad(const KernelContext& context) {
  const PoolGeometry g = GradGeometry(context);
  return WithVariant(context.InputType(0), g.c, [&]<typename T, int kPack>(T, std::integral_constant<int, kPack>) {
    return Prepared(context.stream, AveragePoolGrad<T, kPack>{g, context.Input<T>(0), context.Output<T>(0)});
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kMaxPool2d, .prepare = PrepareMaxPool},
    {.kind = OpKind::kMaxPool2dGrad, .prepare = PrepareMaxPoolGrad},
    {.kind = OpKind::kAveragePool2d, .prepare = PrepareAveragePool},
    {.kind = OpKind::kAveragePool2dGrad, .prepare = PrepareAveragePoolGrad},
};

}  // namespace

std::span<const KernelRow> PoolingRows() { return kRows; }

}  // namespace lockstep::cuda
