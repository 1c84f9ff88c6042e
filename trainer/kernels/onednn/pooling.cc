// Pooling over NHWC images: for each window, vectors of channels.
#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using graph::Pool2dAttributes;

/// Images [n, height, width, channels], pooled to [n, out_height, out_width, channels].
struct Pooling {
  int64_t n, height, width, channels, out_height, out_width;
  graph::Pair kernel, stride, padding;

  Pooling(const Shape& x, const Shape& y, const Pool2dAttributes& attributes)
      : n(x[0]),
        height(x[1]),
        width(x[2]),
        channels(x[3]),
        out_height(y[1]),
        out_width(y[2]),
        kernel(attributes.kernel),
        stride(attributes.stride),
        padding(attributes.padding) {
    CHECK(padding.height < kernel.height && padding.width < kernel.width, "padding of windows without a cell");
  }
  int64_t image() const { return height * width * channels; }
  int64_t out_image() const { return out_height * out_width * channels; }
  /// No cell lies in two windows.
  bool disjoint() const { return stride.height >= kernel.height && stride.width >= kernel.width; }
  /// Every cell lies in a window.
  bool covering() const {
    return stride.height <= kernel.height && stride.width <= kernel.width &&
           (out_height - 1) * stride.height - padding.height + kernel.height >= height &&
           (out_width - 1) * stride.width - padding.width + kernel.width >= width;
  }
};

/// The cells of one window that lie in the image: rows [top, bottom) and columns [left, right).
struct Window {
  int64_t top, bottom, left, right;
  int64_t first_row, first_column;  ///< of the window, padding included: may be negative

  LOCKSTEP_HD Window(const Pooling& p, int64_t out_row, int64_t out_column)
      : first_row(out_row * p.stride.height - p.padding.height),
        first_column(out_column * p.stride.width - p.padding.width) {
    top = first_row < 0 ? 0 : first_row;
    left = first_column < 0 ? 0 : first_column;
    bottom = first_row + p.kernel.height < p.height ? first_row + p.kernel.height : p.height;
    right = first_column + p.kernel.width < p.width ? first_column + p.kernel.width : p.width;
  }
  LOCKSTEP_HD int64_t cells() const { return (bottom - top) * (right - left); }
};

/// Calls run(offset of the cell's channels in the image, the cell's place in the window) in row-major order.
template <typename F>
LOCKSTEP_HD void ForEachCell(const Pooling& p, const Window& window, F&& run) {
  for (int64_t h = window.top; h < window.bottom; ++h) {
    for (int64_t w = window.left; w < window.right; ++w) {
      run((h * p.width + w) * p.channels,
          static_cast<int32_t>((h - window.first_row) * p.kernel.width + (w - window.first_column)));
    }
  }
}

/// Calls run(window, offset of its result's channels) for the windows of one image.
template <typename F>
LOCKSTEP_HD void ForEachWindow(const Pooling& p, F&& run) {
  for (int64_t h = 0; h < p.out_height; ++h) {
    for (int64_t w = 0; w < p.out_width; ++w) run(Window(p, h, w), (h * p.out_width + w) * p.channels);
  }
}

template <typename V>
struct IndexTypes;
template <>
struct IndexTypes<F8> {
  using Wide = I8;
  using Narrow = U8x8;
  static LOCKSTEP_HD U8x8 Convert(I8 v) { return __builtin_convertvector(v, U8x8); }
  static LOCKSTEP_HD I8 Fill(int32_t place) { return I8{place, place, place, place, place, place, place, place}; }
  static LOCKSTEP_HD I8 Select(I8 mask, int32_t place, I8 otherwise) { return (mask & place) | (~mask & otherwise); }
  static LOCKSTEP_HD I8 Widen(U8x8 v) { return __builtin_convertvector(v, I8); }
};
template <>
struct IndexTypes<float> {
  using Wide = int32_t;
  using Narrow = uint8_t;
  static LOCKSTEP_HD uint8_t Convert(int32_t v) { return static_cast<uint8_t>(v); }
  static LOCKSTEP_HD int32_t Fill(int32_t place) { return place; }
  static LOCKSTEP_HD int32_t Select(bool mask, int32_t place, int32_t otherwise) { return mask ? place : otherwise; }
  static LOCKSTEP_HD int32_t Widen(uint8_t v) { return v; }
};

/// The first of the largest; not-a-number counts as largest, so that it shows.
template <typename V, int N>
LOCKSTEP_HD void MaximumTile(const Pooling& p, const Window& window, const float* x, float* y, uint8_t* index) {
  using Types = IndexTypes<V>;
  const int64_t first = (window.top * p.width + window.left) * p.channels;
  const auto first_place =
      static_cast<int32_t>((window.top - window.first_row) * p.kernel.width + (window.left - window.first_column));
  V best[N];
  typename Types::Wide where[N];
  for (int i = 0; i < N; ++i) {
    best[i] = Load<V>(x + first + i * kWidth<V>);
    where[i] = Types::Fill(first_place);
  }
  ForEachCell(p, window, [&](int64_t cell, int32_t place) LOCKSTEP_INLINE {
    for (int i = 0; i < N; ++i) {
      const V v = Load<V>(x + cell + i * kWidth<V>);
      const auto larger = (v > best[i]) | (v != v);
      best[i] = larger ? v : best[i];
      where[i] = Types::Select(larger, place, where[i]);
    }
  });
  for (int i = 0; i < N; ++i) {
    Store(y + i * kWidth<V>, best[i]);
    if (index == nullptr) continue;
    const typename Types::Narrow narrow = Types::Convert(where[i]);
    __builtin_memcpy(index + i * kWidth<V>, &narrow, sizeof narrow);
  }
}

LOCKSTEP_ISA_CLONES
void MaximumImage(const Pooling& pooling, const float* x, float* y, uint8_t* index) {
  const Pooling p = pooling;
  ForEachWindow(p, [&](const Window& window, int64_t out) LOCKSTEP_INLINE {
    ForEachTile(p.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      MaximumTile<V, N>(p, window, x + k, y + out + k, index == nullptr ? nullptr : index + out + k);
    });
  });
}

LOCKSTEP_ISA_CLONES
void MaximumGradImage(const Pooling& pooling, const float* dy, const uint8_t* index, float* dx) {
  const Pooling p = pooling;
  const bool add = !p.disjoint();
  if (add || !p.covering()) std::fill(dx, dx + p.image(), 0.0f);
  ForEachWindow(p, [&](const Window& window, int64_t out) LOCKSTEP_INLINE {
    ForEachTile(p.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      using Types = IndexTypes<V>;
      for (int i = 0; i < N; ++i) {
        const int64_t at = k + i * kWidth<V>;
        const V gradient = Load<V>(dy + out + at);
        typename Types::Narrow narrow;
        __builtin_memcpy(&narrow, index + out + at, sizeof narrow);
        const auto where = Types::Widen(narrow);
        ForEachCell(p, window, [&](int64_t cell, int32_t place) LOCKSTEP_INLINE {
          V v = where == place ? gradient : V{};
          if (add) v += Load<V>(dx + cell + at);
          Store(dx + cell + at, v);
        });
      }
    });
  });
}

LOCKSTEP_ISA_CLONES
void AverageImage(const Pooling& pooling, const float* x, float* y) {
  const Pooling p = pooling;
  ForEachWindow(p, [&](const Window& window, int64_t out) LOCKSTEP_INLINE {
    const auto cells = static_cast<float>(window.cells());
    ForEachTile(p.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      for (int i = 0; i < N; ++i) {
        const int64_t at = k + i * kWidth<V>;
        V sum{};
        ForEachCell(p, window, [&](int64_t cell, int32_t) LOCKSTEP_INLINE { sum += Load<V>(x + cell + at); });
        Store(y + out + at, sum / cells);
      }
    });
  });
}

LOCKSTEP_ISA_CLONES
void AverageGradImage(const Pooling& pooling, const float* dy, float* dx) {
  const Pooling p = pooling;
  std::fill(dx, dx + p.image(), 0.0f);
  ForEachWindow(p, [&](const Window& window, int64_t out) LOCKSTEP_INLINE {
    const auto cells = static_cast<float>(window.cells());
    ForEachTile(p.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      for (int i = 0; i < N; ++i) {
        const int64_t at = k + i * kWidth<V>;
        const V gradient = Load<V>(dy + out + at) / cells;
        ForEachCell(p, window, [&](int64_t cell, int32_t) LOCKSTEP_INLINE {
          Store(dx + cell + at, Load<V>(dx + cell + at) + gradient);
        });
      }
    });
  });
}

/// Broadcasts `gradient` [channels] / cells to `cells` rows.
LOCKSTEP_ISA_CLONES
void SpreadImage(const float* gradient, int64_t cells, int64_t channels, float* dx) {
  const auto divisor = static_cast<float>(cells);
  for (int64_t r = 0; r < cells; ++r) {
#pragma GCC ivdep
    for (int64_t k = 0; k < channels; ++k) dx[r * channels + k] = gradient[k] / divisor;
  }
}

/// A kernel that calls run(image) for each of the batch.
template <typename F>
std::unique_ptr<Kernel> MakeImageKernel(int threads, int64_t n, F run) {
  return MakeKernel([=] {
    ForEachPiece(threads, n, 1, [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run(i);
    });
  });
}

std::unique_ptr<Kernel> PrepareMaximum(const KernelContext& context) {
  const Pooling p(context.InputShape(0), context.OutputShape(0), context.Attributes<Pool2dAttributes>());
  const float* x = context.Input(0);
  float* y = context.Output(0);
  auto* index = context.Output<uint8_t>(1);
  return MakeImageKernel(context.threads, p.n, [=](int64_t i) {
    MaximumImage(p, x + i * p.image(), y + i * p.out_image(), index == nullptr ? nullptr : index + i * p.out_image());
  });
}

std::unique_ptr<Kernel> PrepareMaximumGrad(const KernelContext& context) {
  const Pooling p(context.OutputShape(0), context.InputShape(0), context.Attributes<Pool2dAttributes>());
  const float* dy = context.Input(0);
  const auto* index = context.Input<uint8_t>(1);
  float* dx = context.Output(0);
  return MakeImageKernel(context.threads, p.n, [=](int64_t i) {
    MaximumGradImage(p, dy + i * p.out_image(), index + i * p.out_image(), dx + i * p.image());
  });
}

std::unique_ptr<Kernel> PrepareAverage(const KernelContext& context) {
  const Pooling p(context.InputShape(0), context.OutputShape(0), context.Attributes<Pool2dAttributes>());
  const float* x = context.Input(0);
  float* y = context.Output(0);
  return MakeImageKernel(context.threads, p.n,
                         [=](int64_t i) { AverageImage(p, x + i * p.image(), y + i * p.out_image()); });
}

std::unique_ptr<Kernel> PrepareAverageGrad(const KernelContext& context) {
  const Pooling p(context.OutputShape(0), context.InputShape(0), context.Attributes<Pool2dAttributes>());
  const float* dy = context.Input(0);
  float* dx = context.Output(0);
  return MakeImageKernel(context.threads, p.n,
                         [=](int64_t i) { AverageGradImage(p, dy + i * p.out_image(), dx + i * p.image()); });
}

size_t GlobalAverageWorkspace(const OpContext& context) {
  return static_cast<size_t>(context.InputShape(0).dim(3)) * static_cast<size_t>(context.threads) * sizeof(double);
}

std::unique_ptr<Kernel> PrepareGlobalAverage(const KernelContext& context) {
  const Shape& shape = context.InputShape(0);
  const int64_t n = shape[0], cells = shape[1] * shape[2], channels = shape[3];
  auto* totals = reinterpret_cast<double*>(context.operands.workspace);
  return MakeKernel([=, x = context.Input(0), y = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, n, 1, [=](int piece, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* means = y + i * channels;
        ColumnSums(x + i * cells * channels, cells, channels, totals + piece * channels, means);
        for (int64_t k = 0; k < channels; ++k) means[k] /= static_cast<float>(cells);
      }
    });
  });
}

std::unique_ptr<Kernel> PrepareGlobalAverageGrad(const KernelContext& context) {
  const Shape& shape = context.OutputShape(0);
  const int64_t cells = shape[1] * shape[2], channels = shape[3];
  const float* dy = context.Input(0);
  float* dx = context.Output(0);
  return MakeImageKernel(context.threads, shape[0], [=](int64_t i) {
    SpreadImage(dy + i * channels, cells, channels, dx + i * cells * channels);
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kMaxPool2d, .prepare = PrepareMaximum},
    {.kind = OpKind::kMaxPool2dGrad, .prepare = PrepareMaximumGrad},
    {.kind = OpKind::kAveragePool2d, .prepare = PrepareAverage},
    {.kind = OpKind::kAveragePool2dGrad, .prepare = PrepareAverageGrad},
    {.kind = OpKind::kGlobalAveragePool, .prepare = PrepareGlobalAverage, .workspace_bytes = GlobalAverageWorkspace},
    {.kind = OpKind::kGlobalAveragePoolGrad, .prepare = PrepareGlobalAverageGrad},
};

}  // namespace

std::span<const KernelRow> PoolingRows() { return kRows; }

}  // namespace lockstep::onednn
