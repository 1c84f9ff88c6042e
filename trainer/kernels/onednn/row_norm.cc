// Layer and root mean square normalisation: each row of [rows, size] by itself, by its statistics.
#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

struct ForwardOperands {
  const float *x, *weight, *bias;  ///< no bias: nullptr
  float *y, *mean, *inverse;       ///< of each row; absent: nullptr
  int64_t size;
  float epsilon;
};

struct GradOperands {
  const float *dy, *x, *weight, *mean, *inverse;  ///< no mean where rows are not centred
  float* dx;                                      ///< absent: nullptr
  int64_t size;
};

/// A layer norm's row: its mean, and one over its standard deviation.
struct LayerStatistics {
  static constexpr bool kCentred = true;

  float mean, inverse;

  static LOCKSTEP_HD LayerStatistics Of(const float* x, int64_t size, float epsilon) {
    const auto n = static_cast<float>(size);
    const float mean = SumRow(size, [&](int64_t i, auto v) LOCKSTEP_INLINE { return Load<decltype(v)>(x + i); }) / n;
    const float squares = SumRow(size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
      const auto d = Load<decltype(v)>(x + i) - mean;
      return d * d;
    });
    return {mean, 1.0f / __builtin_sqrtf(squares / n + epsilon)};
  }
  static LOCKSTEP_HD LayerStatistics Saved(const GradOperands& o, int64_t row) { return {o.mean[row], o.inverse[row]}; }
  LOCKSTEP_HD void Save(const ForwardOperands& o, int64_t row) const {
    if (o.mean != nullptr) o.mean[row] = mean;
    if (o.inverse != nullptr) o.inverse[row] = inverse;
  }
  template <typename V>
  LOCKSTEP_HD V Normalised(V x) const {
    return (x - mean) * inverse;
  }
};

/// An RMS norm's row: one over its root mean square.
struct RmsStatistics {
  static constexpr bool kCentred = false;

  float inverse;

  static LOCKSTEP_HD RmsStatistics Of(const float* x, int64_t size, float epsilon) {
    const float squares = SumRow(size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
      const auto a = Load<decltype(v)>(x + i);
      return a * a;
    });
    return {1.0f / __builtin_sqrtf(squares / static_cast<float>(size) + epsilon)};
  }
  static LOCKSTEP_HD RmsStatistics Saved(const GradOperands& o, int64_t row) { return {o.inverse[row]}; }
  LOCKSTEP_HD void Save(const ForwardOperands& o, int64_t row) const {
    if (o.inverse != nullptr) o.inverse[row] = inverse;
  }
  template <typename V>
  LOCKSTEP_HD V Normalised(V x) const {
    return x * inverse;
  }
};

template <typename Statistics>
LOCKSTEP_HD void ForwardRows(const ForwardOperands& operands, int64_t begin, int64_t end) {
  const ForwardOperands o = operands;
  const float *weight = o.weight, *bias = o.bias;
  for (int64_t r = begin; r < end; ++r) {
    const float* in = o.x + r * o.size;
    float* out = o.y + r * o.size;
    const Statistics statistics = Statistics::Of(in, o.size, o.epsilon);
    statistics.Save(o, r);
    if (bias == nullptr) {
#pragma GCC ivdep
      for (int64_t i = 0; i < o.size; ++i) out[i] = statistics.Normalised(in[i]) * weight[i];
      continue;
    }
#pragma GCC ivdep
    for (int64_t i = 0; i < o.size; ++i) out[i] = statistics.Normalised(in[i]) * weight[i] + bias[i];
  }
}

/// dx = inverse (g - mean(g) - x_hat mean(g x_hat)), with g = dy weight; rows that are not centred have no mean(g).
template <typename Statistics>
LOCKSTEP_HD void InputGradRow(const GradOperands& o, int64_t r) {
  const float *dy = o.dy + r * o.size, *x = o.x + r * o.size, *weight = o.weight;
  float* dx = o.dx + r * o.size;
  const auto n = static_cast<float>(o.size);
  const Statistics statistics = Statistics::Saved(o, r);
  float sum = 0;
  if constexpr (Statistics::kCentred) {
    sum = SumRow(o.size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
      using V = decltype(v);
      return Load<V>(dy + i) * Load<V>(weight + i);
    });
  }
  const float product = SumRow(o.size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
    using V = decltype(v);
    return Load<V>(dy + i) * Load<V>(weight + i) * statistics.Normalised(Load<V>(x + i));
  });
  const float shift = sum / n, slope = product / n;
#pragma GCC ivdep
  for (int64_t i = 0; i < o.size; ++i) {
    float g = dy[i] * weight[i];
    if constexpr (Statistics::kCentred) g -= shift;
    dx[i] = statistics.inverse * (g - statistics.Normalised(x[i]) * slope);
  }
}

/// Adds to `totals` the block sums of dy * normalised x by column, and those of dy where rows are centred, behind them.
template <typename Statistics>
LOCKSTEP_HD void AddColumnSums(const GradOperands& o, int64_t begin, int64_t end, double* totals) {
  ForEachTile(o.size, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
    Tile<V, N> a{}, b{};
    for (int64_t r = begin; r < end; ++r) {
      const Statistics statistics = Statistics::Saved(o, r);
      for (int i = 0; i < N; ++i) {
        const int64_t at = r * o.size + k + i * kWidth<V>;
        const V g = Load<V>(o.dy + at);
        a.v[i] += g * statistics.Normalised(Load<V>(o.x + at));
        if constexpr (Statistics::kCentred) b.v[i] += g;
      }
    }
    constexpr int64_t kColumns = Tile<V, N>::kColumns;
    float p[kColumns], q[kColumns];
    __builtin_memcpy(p, &a, sizeof p);
    __builtin_memcpy(q, &b, sizeof q);
    for (int64_t j = 0; j < kColumns; ++j) totals[k + j] += static_cast<double>(p[j]);
    if constexpr (!Statistics::kCentred) return;
    for (int64_t j = 0; j < kColumns; ++j) totals[o.size + k + j] += static_cast<double>(q[j]);
  });
}

/// Sums by column that the gradients of weight and bias need.
template <typename Statistics>
constexpr int kSums = Statistics::kCentred ? 2 : 1;

/// Rows [begin, end): dx, and in `totals` the sums by column, blocks in float, totals in double.
template <typename Statistics>
LOCKSTEP_HD void GradRows(const GradOperands& operands, int64_t begin, int64_t end, double* totals) {
  const GradOperands o = operands;
  std::fill(totals, totals + kSums<Statistics> * o.size, 0.0);
  for (int64_t first = begin; first < end; first += kRowBlock) {
    const int64_t last = std::min(first + kRowBlock, end);
    // Column sums first: dx may take over the memory of dy.
    AddColumnSums<Statistics>(o, first, last, totals);
    if (o.dx == nullptr) continue;
    for (int64_t r = first; r < last; ++r) InputGradRow<Statistics>(o, r);
  }
}

// What is compiled once per instruction set can't be a template: one pair of functions for each norm.
LOCKSTEP_ISA_CLONES
void Forward(LayerStatistics /*tag*/, const ForwardOperands& o, int64_t begin, int64_t end) {
  ForwardRows<LayerStatistics>(o, begin, end);
}
LOCKSTEP_ISA_CLONES
void Forward(RmsStatistics /*tag*/, const ForwardOperands& o, int64_t begin, int64_t end) {
  ForwardRows<RmsStatistics>(o, begin, end);
}
LOCKSTEP_ISA_CLONES
void Grad(LayerStatistics /*tag*/, const GradOperands& o, int64_t begin, int64_t end, double* totals) {
  GradRows<LayerStatistics>(o, begin, end, totals);
}
LOCKSTEP_ISA_CLONES
void Grad(RmsStatistics /*tag*/, const GradOperands& o, int64_t begin, int64_t end, double* totals) {
  GradRows<RmsStatistics>(o, begin, end, totals);
}

constexpr int64_t kLeastRows = 16;

template <typename Statistics>
std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  constexpr bool kCentred = Statistics::kCentred;
  const int64_t rows = Rows(context.InputShape(0));
  const ForwardOperands operands = {.x = context.Input(0),
                                    .weight = context.Input(1),
                                    .bias = kCentred ? context.Input(2) : nullptr,
                                    .y = context.Output(0),
                                    .mean = kCentred ? context.Output(1) : nullptr,
                                    .inverse = context.Output(kCentred ? 2 : 1),
                                    .size = context.InputShape(0).dim(-1),
                                    .epsilon = context.Attributes<graph::NormAttributes>().epsilon};
  return MakeKernel([=, threads = context.threads] {
    ForEachPiece(threads, rows, kLeastRows,
                 [&](int, int64_t begin, int64_t end) { Forward(Statistics{}, operands, begin, end); });
  });
}

template <typename Statistics>
size_t GradWorkspace(const OpContext& context) {
  return kSums<Statistics> * static_cast<size_t>(context.threads) * static_cast<size_t>(context.InputShape(0).dim(-1)) *
         sizeof(double);
}

/// Column `k` of the pieces' sums, `stride` apart.
float TotalOf(const double* sums, int64_t stride, int64_t pieces, int64_t k) {
  double total = 0;
  for (int64_t piece = 0; piece < pieces; ++piece) total += sums[piece * stride + k];
  return static_cast<float>(total);
}

template <typename Statistics>
std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  constexpr bool kCentred = Statistics::kCentred;
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  const GradOperands operands = {.dy = context.Input(0),
                                 .x = context.Input(1),
                                 .weight = context.Input(2),
                                 .mean = kCentred ? context.Input(3) : nullptr,
                                 .inverse = context.Input(kCentred ? 4 : 3),
                                 .dx = context.Output(0),
                                 .size = size};
  auto* sums = reinterpret_cast<double*>(context.operands.workspace);
  return MakeKernel(
      [=, dweight = context.Output(1), dbias = kCentred ? context.Output(2) : nullptr, threads = context.threads] {
        const Pieces pieces(threads, rows, kLeastRows);
        const int64_t stride = kSums<Statistics> * size;
        ForEachPiece(pieces, [&](int piece, int64_t begin, int64_t end) {
          Grad(Statistics{}, operands, begin, end, sums + piece * stride);
        });
        for (int64_t k = 0; k < size && dweight != nullptr; ++k) dweight[k] = TotalOf(sums, stride, pieces.count, k);
        for (int64_t k = 0; k < size && dbias != nullptr; ++k) dbias[k] = TotalOf(sums + size, stride, pieces.count, k);
      });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kLayerNorm, .prepare = PrepareForward<LayerStatistics>},
    {.kind = OpKind::kLayerNormGrad,
     .prepare = PrepareGrad<LayerStatistics>,
     .workspace_bytes = GradWorkspace<LayerStatistics>},
    {.kind = OpKind::kRmsNorm, .prepare = PrepareForward<RmsStatistics>},
    {.kind = OpKind::kRmsNormGrad,
     .prepare = PrepareGrad<RmsStatistics>,
     .workspace_bytes = GradWorkspace<RmsStatistics>},
};

}  // namespace

std::span<const KernelRow> RowNormRows() { return kRows; }

}  // namespace lockstep::onednn
