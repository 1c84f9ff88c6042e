#include "trainer/kernels/onednn/depthwise.h"

#include <algorithm>
#include <array>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::Conv2dAttributes;

/// Of a kernel, along either side.
constexpr int64_t kMostTaps = 16;

struct Range {
  int64_t begin, end;
};

/// An image and its result along one side. Tap i of result o reads cell o stride + i dilation - padding.
struct Side {
  int64_t cells, results, taps, stride, padding, dilation;

  LOCKSTEP_HD int64_t Offset(int64_t tap) const { return tap * dilation - padding; }
  /// The results whose tap lies in the image.
  LOCKSTEP_HD Range ResultsOf(int64_t tap) const {
    const int64_t offset = Offset(tap), last = cells - 1 - offset;
    const int64_t begin = offset < 0 ? (stride - 1 - offset) / stride : 0;
    const int64_t end = last < 0 ? 0 : std::min(last / stride + 1, results);
    return {begin, std::max(begin, end)};
  }
};

/// x [n, down.cells, along.cells, channels] gives y [n, down.results, along.results, channels].
struct Geometry {
  int64_t n, channels;
  Side down, along;

  Geometry(const Shape& x, const Shape& weight, const Shape& y, const Conv2dAttributes& a)
      : n(x[0]),
        channels(x[3]),
        down{x[1], y[1], weight[2], a.stride.height, a.padding.height, a.dilation.height},
        along{x[2], y[2], weight[3], a.stride.width, a.padding.width, a.dilation.width} {}
  int64_t taps() const { return down.taps * along.taps; }
  int64_t x_row() const { return along.cells * channels; }
  int64_t y_row() const { return along.results * channels; }
  int64_t x_image() const { return down.cells * x_row(); }
  int64_t y_image() const { return down.results * y_row(); }
};

/// Covers `columns` with tiles of 16, 8 and 1 columns: two vectors leave registers for the taps of a row.
template <typename F>
LOCKSTEP_HD void ForEachNarrowTile(int64_t columns, F&& run) {
  int64_t k = 0;
  for (; k + 16 <= columns; k += 16) run.template operator()<F8, 2>(k);
  for (; k + 8 <= columns; k += 8) run.template operator()<F8, 1>(k);
  for (; k < columns; ++k) run.template operator()<float, 1>(k);
}

// Weight gradient: a row of results at a time, whose sums over the row stay in registers for up to five taps. Sums of
// rows are added in float to their image's, images' in double.

/// A row of x and of dy, from the tile's first channel on, and where its sums belong.
struct RowOperands {
  const float *x, *dy;
  float* sums;  ///< [taps of the row, channels]
};

template <typename V, int N, int kTaps>
LOCKSTEP_HD void AddRowOfTaps(const Side& side, int64_t channels, int64_t first_tap, const RowOperands& o) {
  V sum[kTaps][N] = {};
  const auto add = [&](int64_t tap, int64_t result) LOCKSTEP_INLINE {
    const float* const x = o.x + (result * side.stride + side.Offset(first_tap + tap)) * channels;
    for (int i = 0; i < N; ++i) {
      sum[tap][i] += Load<V>(x + i * kWidth<V>) * Load<V>(o.dy + result * channels + i * kWidth<V>);
    }
  };
  // Results that all taps have, and before and behind them those of single taps.
  Range range[kTaps];
  Range all{0, side.results};
  for (int t = 0; t < kTaps; ++t) {
    range[t] = side.ResultsOf(first_tap + t);
    all = {std::max(all.begin, range[t].begin), std::min(all.end, range[t].end)};
  }
  all.end = std::max(all.begin, all.end);
  for (int t = 0; t < kTaps; ++t) {
    for (int64_t r = range[t].begin; r < std::min(range[t].end, all.begin); ++r) add(t, r);
  }
  for (int64_t r = all.begin; r < all.end; ++r) {
    for (int t = 0; t < kTaps; ++t) add(t, r);
  }
  for (int t = 0; t < kTaps; ++t) {
    for (int64_t r = std::max(range[t].begin, all.end); r < range[t].end; ++r) add(t, r);
  }
  for (int t = 0; t < kTaps; ++t) {
    for (int i = 0; i < N; ++i) {
      float* const to = o.sums + (first_tap + t) * channels + i * kWidth<V>;
      Store(to, Load<V>(to) + sum[t][i]);
    }
  }
}

/// All taps of a row, five at a time.
template <typename V, int N>
LOCKSTEP_HD void AddRow(const Side& side, int64_t channels, const RowOperands& o) {
  int64_t tap = 0;
  for (; tap + 5 <= side.taps; tap += 5) AddRowOfTaps<V, N, 5>(side, channels, tap, o);
  switch (side.taps - tap) {
    case 4:
      return AddRowOfTaps<V, N, 4>(side, channels, tap, o);
    case 3:
      return AddRowOfTaps<V, N, 3>(side, channels, tap, o);
    case 2:
      return AddRowOfTaps<V, N, 2>(side, channels, tap, o);
    case 1:
      return AddRowOfTaps<V, N, 1>(side, channels, tap, o);
    default:
      return;
  }
}

/// sums [taps, channels] of one image.
LOCKSTEP_ISA_CLONES
void WeightGradImage(const Geometry& geometry, const float* x, const float* dy, float* sums) {
  const Geometry g = geometry;
  std::fill(sums, sums + g.taps() * g.channels, 0.0f);
  for (int64_t row = 0; row < g.down.results; ++row) {
    for (int64_t tap = 0; tap < g.down.taps; ++tap) {
      const int64_t x_row = row * g.down.stride + g.down.Offset(tap);
      if (x_row < 0 || x_row >= g.down.cells) continue;
      const RowOperands o{x + x_row * g.x_row(), dy + row * g.y_row(), sums + tap * g.along.taps * g.channels};
      ForEachNarrowTile(g.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
        AddRow<V, N>(g.along, g.channels, {o.x + k, o.dy + k, o.sums + k});
      });
    }
  }
}

/// dweight [channels, taps] = the sum of the images' [taps, channels], in their order.
void AddImages(const Geometry& g, const float* sums, float* dweight) {
  for (int64_t c = 0; c < g.channels; ++c) {
    for (int64_t tap = 0; tap < g.taps(); ++tap) {
      double total = 0;
      for (int64_t image = 0; image < g.n; ++image) {
        total += static_cast<double>(sums[(image * g.taps() + tap) * g.channels + c]);
      }
      dweight[c * g.taps() + tap] = static_cast<float>(total);
    }
  }
}

// Input gradient. Cells of x that are `stride` apart read neighbours in dy through the same taps: each such row of
// cells is a correlation with those taps.

/// What a tap adds to cell u of such a row: dy's cell first + u, by a weight.
struct Tap {
  int64_t first, index;
};
struct Taps {
  std::array<Tap, kMostTaps> tap;
  int64_t count = 0;

  /// Those of cells phase + u stride.
  LOCKSTEP_HD Taps(const Side& side, int64_t phase) {
    for (int64_t i = 0; i < side.taps; ++i) {
      const int64_t at = phase - side.Offset(i);
      if ((at % side.stride + side.stride) % side.stride != 0) continue;
      tap[static_cast<size_t>(count++)] = {at / side.stride, i};  // exact: whatever the sign
    }
  }
};

/// Rows of dy that a row of x reads, and by which weights [taps of a row, channels].
struct GradRow {
  const float *dy, *weight;
};
struct GradRows {
  std::array<GradRow, kMostTaps> row;
  int64_t count = 0;
};

/// Cells [u, u + kCells) of a row of cells `step` elements apart. With `inside` all taps of these lie in dy.
template <typename V, int N, int kCells, bool kInside>
LOCKSTEP_HD void MakeCells(const GradRows& rows, const Taps& taps, int64_t u, int64_t results, int64_t channels,
                           int64_t step, int64_t k, float* dx) {
  V sum[kCells][N] = {};
  for (int64_t r = 0; r < rows.count; ++r) {
    const GradRow& row = rows.row[static_cast<size_t>(r)];
    for (int64_t t = 0; t < taps.count; ++t) {
      const Tap tap = taps.tap[static_cast<size_t>(t)];
      if (!kInside && (tap.first + u < 0 || tap.first + u >= results)) continue;
      const float *const dy = row.dy + (tap.first + u) * channels + k, *weight = row.weight + tap.index * channels + k;
      for (int i = 0; i < N; ++i) {
        const V w = Load<V>(weight + i * kWidth<V>);
        for (int c = 0; c < kCells; ++c) sum[c][i] += Load<V>(dy + c * channels + i * kWidth<V>) * w;
      }
    }
  }
  for (int c = 0; c < kCells; ++c) {
    for (int i = 0; i < N; ++i) Store(dx + (u + c) * step + k + i * kWidth<V>, sum[c][i]);
  }
}

/// The cells of a row of x from `phase` on, `stride` apart.
LOCKSTEP_HD void MakePhase(const Geometry& g, const GradRows& rows, int64_t phase, float* dx_row) {
  const Side& side = g.along;
  const Taps taps(side, phase);
  const int64_t cells = (side.cells - phase + side.stride - 1) / side.stride, step = side.stride * g.channels;
  Range inside{0, cells};
  for (int64_t t = 0; t < taps.count; ++t) {
    const int64_t first = taps.tap[static_cast<size_t>(t)].first;
    inside = {std::max(inside.begin, -first), std::min(inside.end, side.results - first)};
  }
  inside = {std::min(inside.begin, cells), std::max(inside.begin, inside.end)};
  float* const dx = dx_row + phase * g.channels;
  ForEachNarrowTile(g.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
    const auto make = [&]<int kCells, bool kInside>(int64_t u) LOCKSTEP_INLINE {
      MakeCells<V, N, kCells, kInside>(rows, taps, u, side.results, g.channels, step, k, dx);
    };
    int64_t u = 0;
    for (; u < inside.begin; ++u) make.template operator()<1, false>(u);
    for (; u + 4 <= inside.end; u += 4) make.template operator()<4, true>(u);
    for (; u < inside.end; ++u) make.template operator()<1, true>(u);
    for (; u < cells; ++u) make.template operator()<1, false>(u);
  });
}

/// dx of one image; weight [taps, channels].
LOCKSTEP_ISA_CLONES
void InputGradImage(const Geometry& geometry, const float* dy, const float* weight, float* dx) {
  const Geometry g = geometry;
  for (int64_t row = 0; row < g.down.cells; ++row) {
    GradRows rows;
    for (int64_t tap = 0; tap < g.down.taps; ++tap) {
      const int64_t at = row - g.down.Offset(tap);
      if (at < 0 || at % g.down.stride != 0 || at / g.down.stride >= g.down.results) continue;
      rows.row[static_cast<size_t>(rows.count++)] = {dy + at / g.down.stride * g.y_row(),
                                                     weight + tap * g.along.taps * g.channels};
    }
    const int64_t phases = std::min(g.along.stride, g.along.cells);
    for (int64_t phase = 0; phase < phases; ++phase) MakePhase(g, rows, phase, dx + row * g.x_row());
  }
}

Geometry WeightGradGeometry(const OpContext& context) {
  return {context.InputShape(1), context.OutputShape(0), context.InputShape(0), context.Attributes<Conv2dAttributes>()};
}
Geometry InputGradGeometry(const OpContext& context) {
  return {context.OutputShape(0), context.InputShape(1), context.InputShape(0), context.Attributes<Conv2dAttributes>()};
}

/// One filter a channel, of a size that this has room for.
bool IsDepthwise(const Shape& weight, int groups) {
  return groups > 1 && weight[0] == groups && weight[1] == 1 && weight[2] <= kMostTaps && weight[3] <= kMostTaps;
}

int64_t SumsOf(const Geometry& g) { return g.n * g.taps() * g.channels; }

}  // namespace

bool UsesDepthwiseWeightGrad(const OpContext& context) {
  const auto& attributes = context.Attributes<Conv2dAttributes>();
  if (!context.HasOutput(0)) return false;
  const Shape& weight = context.OutputShape(0);
  // oneDNN's kernel for these is the faster one.
  const bool small = weight[2] == 3 && weight[3] == 3 && attributes.dilation == graph::Pair(1);
  return IsDepthwise(weight, attributes.groups) && !small;
}

size_t DepthwiseWeightGradWorkspace(const OpContext& context) {
  const Geometry g = WeightGradGeometry(context);
  return static_cast<size_t>(g.channels) * sizeof(double) + static_cast<size_t>(SumsOf(g)) * sizeof(float);
}

std::unique_ptr<Kernel> PrepareDepthwiseWeightGrad(const KernelContext& context) {
  const Geometry g = WeightGradGeometry(context);
  auto* const totals = reinterpret_cast<double*>(context.operands.workspace);
  auto* const sums = reinterpret_cast<float*>(totals + g.channels);
  return MakeKernel([=, dy = context.Input(0), x = context.Input(1), dweight = context.Output(0),
                     dbias = context.Output(1), threads = context.threads] {
    ForEachPiece(threads, g.n, 1, [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        WeightGradImage(g, x + i * g.x_image(), dy + i * g.y_image(), sums + i * g.taps() * g.channels);
      }
    });
    AddImages(g, sums, dweight);
    if (dbias != nullptr) ColumnSums(dy, g.n * g.down.results * g.along.results, g.channels, totals, dbias);
  });
}

bool UsesDepthwiseInputGrad(const OpContext& context) {
  const auto& attributes = context.Attributes<Conv2dAttributes>();
  return IsDepthwise(context.InputShape(1), attributes.groups) && attributes.dilation != graph::Pair(1);
}

size_t DepthwiseInputGradWorkspace(const OpContext& context) {
  return static_cast<size_t>(context.InputShape(1).size()) * sizeof(float);
}

std::unique_ptr<Kernel> PrepareDepthwiseInputGrad(const KernelContext& context) {
  const Geometry g = InputGradGeometry(context);
  auto* const by_tap = reinterpret_cast<float*>(context.operands.workspace);
  return MakeKernel(
      [=, dy = context.Input(0), weight = context.Input(1), dx = context.Output(0), threads = context.threads] {
        for (int64_t c = 0; c < g.channels; ++c) {
          for (int64_t tap = 0; tap < g.taps(); ++tap) by_tap[tap * g.channels + c] = weight[c * g.taps() + tap];
        }
        ForEachPiece(threads, g.n, 1, [&](int, int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            InputGradImage(g, dy + i * g.y_image(), by_tap, dx + i * g.x_image());
          }
        });
      });
}

}  // namespace lockstep::onednn
