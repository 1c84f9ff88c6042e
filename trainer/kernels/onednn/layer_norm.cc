// Layer normalisation: each row of [rows, size] by itself.
#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

struct RowMoments {
  float mean, inv_std;
};

LOCKSTEP_HD RowMoments MomentsOf(const float* x, int64_t size, float epsilon) {
  const auto n = static_cast<float>(size);
  const float mean = SumRow(size, [&](int64_t i, auto v) LOCKSTEP_INLINE { return Load<decltype(v)>(x + i); }) / n;
  const float squares = SumRow(size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
    const auto d = Load<decltype(v)>(x + i) - mean;
    return d * d;
  });
  return {mean, 1.0f / __builtin_sqrtf(squares / n + epsilon)};
}

LOCKSTEP_ISA_CLONES
void ForwardRows(const float* x, const float* weight, const float* bias, float* y, float* means, float* inv_stds,
                 int64_t begin, int64_t end, int64_t size, float epsilon) {
  for (int64_t r = begin; r < end; ++r) {
    const float* in = x + r * size;
    float* out = y + r * size;
    const RowMoments moments = MomentsOf(in, size, epsilon);
    if (means != nullptr) means[r] = moments.mean;
    if (inv_stds != nullptr) inv_stds[r] = moments.inv_std;
    if (bias == nullptr) {
#pragma GCC ivdep
      for (int64_t i = 0; i < size; ++i) out[i] = (in[i] - moments.mean) * moments.inv_std * weight[i];
      continue;
    }
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) out[i] = (in[i] - moments.mean) * moments.inv_std * weight[i] + bias[i];
  }
}

struct GradOperands {
  const float *dy, *x, *weight, *mean, *inv_std;
  float* dx;
  int64_t size;
};

LOCKSTEP_HD void InputGradRow(const GradOperands& o, int64_t r) {
  const float *dy = o.dy + r * o.size, *x = o.x + r * o.size, *weight = o.weight;
  float* dx = o.dx + r * o.size;
  const float mean = o.mean[r], inv_std = o.inv_std[r];
  const auto n = static_cast<float>(o.size);
  const float sum = SumRow(o.size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
    using V = decltype(v);
    return Load<V>(dy + i) * Load<V>(weight + i);
  });
  const float product = SumRow(o.size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
    using V = decltype(v);
    return Load<V>(dy + i) * Load<V>(weight + i) * ((Load<V>(x + i) - mean) * inv_std);
  });
  const float shift = sum / n, slope = product / n;
#pragma GCC ivdep
  for (int64_t i = 0; i < o.size; ++i) {
    dx[i] = inv_std * (dy[i] * weight[i] - shift - (x[i] - mean) * inv_std * slope);
  }
}

/// Rows [begin, end): dx, and the sums of dy * normalised x and of dy by column, blocks in float, totals in double.
LOCKSTEP_ISA_CLONES
void GradRows(const GradOperands& operands, int64_t begin, int64_t end, double* dweight, double* dbias) {
  const GradOperands o = operands;
  std::fill(dweight, dweight + o.size, 0.0);
  std::fill(dbias, dbias + o.size, 0.0);
  for (int64_t first = begin; first < end; first += kRowBlock) {
    const int64_t last = std::min(first + kRowBlock, end);
    // Column sums first: dx may take over the memory of dy.
    ForEachTile(o.size, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> a{}, b{};
      for (int64_t r = first; r < last; ++r) {
        const float mean = o.mean[r], inv_std = o.inv_std[r];
        for (int i = 0; i < N; ++i) {
          const int64_t at = r * o.size + k + i * kWidth<V>;
          const V g = Load<V>(o.dy + at);
          a.v[i] += g * ((Load<V>(o.x + at) - mean) * inv_std);
          b.v[i] += g;
        }
      }
      constexpr int64_t kColumns = Tile<V, N>::kColumns;
      float p[kColumns], q[kColumns];
      __builtin_memcpy(p, &a, sizeof p);
      __builtin_memcpy(q, &b, sizeof q);
      for (int64_t j = 0; j < kColumns; ++j) dweight[k + j] += static_cast<double>(p[j]);
      for (int64_t j = 0; j < kColumns; ++j) dbias[k + j] += static_cast<double>(q[j]);
    });
    if (o.dx == nullptr) continue;
    for (int64_t r = first; r < last; ++r) InputGradRow(o, r);
  }
}

constexpr int64_t kLeastRows = 16;

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  const float epsilon = context.Attributes<graph::NormAttributes>().epsilon;
  return MakeKernel([=, x = context.Input(0), weight = context.Input(1), bias = context.Input(2), y = context.Output(0),
                     means = context.Output(1), inv_stds = context.Output(2), threads = context.threads] {
    ForEachPiece(threads, rows, kLeastRows, [=](int, int64_t begin, int64_t end) {
      ForwardRows(x, weight, bias, y, means, inv_stds, begin, end, size, epsilon);
    });
  });
}

size_t GradWorkspace(const OpContext& context) {
  return 2 * static_cast<size_t>(context.threads) * static_cast<size_t>(context.InputShape(0).dim(-1)) * sizeof(double);
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  const GradOperands operands = {context.Input(0),
                                 context.Input(1),
                                 context.Input(2),
                                 context.Input(3),
                                 context.Input(4),
                                 context.Output(0),
                                 size};
  auto* sums = reinterpret_cast<double*>(context.operands.workspace);
  return MakeKernel([=, dweight = context.Output(1), dbias = context.Output(2), threads = context.threads] {
    const Pieces pieces(threads, rows, kLeastRows);
    ForEachPiece(pieces, [&](int piece, int64_t begin, int64_t end) {
      GradRows(operands, begin, end, sums + 2 * piece * size, sums + (2 * piece + 1) * size);
    });
    for (int64_t k = 0; k < size; ++k) {
      double weight = 0, bias = 0;
      for (int64_t piece = 0; piece < pieces.count; ++piece) {
        weight += sums[2 * piece * size + k];
        bias += sums[(2 * piece + 1) * size + k];
      }
      if (dweight != nullptr) dweight[k] = static_cast<float>(weight);
      if (dbias != nullptr) dbias[k] = static_cast<float>(bias);
    }
  });
}

}  // namespace

KernelRow LayerNormRow(OpKind kind) {
  switch (kind) {
    case OpKind::kLayerNorm:
      return {.prepare = PrepareForward};
    case OpKind::kLayerNormGrad:
      return {.prepare = PrepareGrad, .workspace_bytes = GradWorkspace};
    default:
      return {};
  }
}

}  // namespace lockstep::onednn
