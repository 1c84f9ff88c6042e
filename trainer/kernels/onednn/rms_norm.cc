// Root mean square normalisation: each row of [rows, size] by itself.
#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

LOCKSTEP_ISA_CLONES
void ForwardRows(const float* x, const float* weight, float* y, float* inv_rms, int64_t begin, int64_t end,
                 int64_t size, float epsilon) {
  for (int64_t r = begin; r < end; ++r) {
    const float* in = x + r * size;
    float* out = y + r * size;
    const float squares = SumRow(size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
      const auto a = Load<decltype(v)>(in + i);
      return a * a;
    });
    const float factor = 1.0f / __builtin_sqrtf(squares / static_cast<float>(size) + epsilon);
    if (inv_rms != nullptr) inv_rms[r] = factor;
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) out[i] = in[i] * factor * weight[i];
  }
}

struct GradOperands {
  const float *dy, *x, *weight, *inv_rms;
  float* dx;
  int64_t size;
};

LOCKSTEP_HD void InputGradRow(const GradOperands& o, int64_t r) {
  const float *dy = o.dy + r * o.size, *x = o.x + r * o.size, *weight = o.weight;
  float* dx = o.dx + r * o.size;
  const float factor = o.inv_rms[r];
  const float product = SumRow(o.size, [&](int64_t i, auto v) LOCKSTEP_INLINE {
    using V = decltype(v);
    return Load<V>(dy + i) * Load<V>(weight + i) * (Load<V>(x + i) * factor);
  });
  const float slope = product / static_cast<float>(o.size);
#pragma GCC ivdep
  for (int64_t i = 0; i < o.size; ++i) dx[i] = factor * (dy[i] * weight[i] - x[i] * factor * slope);
}

/// Rows [begin, end): dx, and the sums of dy * normalised x by column, blocks in float, totals in double.
LOCKSTEP_ISA_CLONES
void GradRows(const GradOperands& operands, int64_t begin, int64_t end, double* dweight) {
  const GradOperands o = operands;
  std::fill(dweight, dweight + o.size, 0.0);
  for (int64_t first = begin; first < end; first += kRowBlock) {
    const int64_t last = std::min(first + kRowBlock, end);
    ForEachTile(o.size, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> sum{};
      for (int64_t r = first; r < last; ++r) {
        for (int i = 0; i < N; ++i) {
          const int64_t at = r * o.size + k + i * kWidth<V>;
          sum.v[i] += Load<V>(o.dy + at) * (Load<V>(o.x + at) * o.inv_rms[r]);
        }
      }
      float lanes[Tile<V, N>::kColumns];
      __builtin_memcpy(lanes, &sum, sizeof lanes);
      for (int64_t j = 0; j < Tile<V, N>::kColumns; ++j) dweight[k + j] += static_cast<double>(lanes[j]);
    });
    if (o.dx == nullptr) continue;
    for (int64_t r = first; r < last; ++r) InputGradRow(o, r);
  }
}

constexpr int64_t kLeastRows = 16;

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  const float epsilon = context.Attributes<graph::NormAttributes>().epsilon;
  return MakeKernel([=, x = context.Input(0), weight = context.Input(1), y = context.Output(0),
                     inv_rms = context.Output(1), threads = context.threads] {
    ForEachPiece(threads, rows, kLeastRows, [=](int, int64_t begin, int64_t end) {
      ForwardRows(x, weight, y, inv_rms, begin, end, size, epsilon);
    });
  });
}

size_t GradWorkspace(const OpContext& context) {
  return static_cast<size_t>(context.threads) * static_cast<size_t>(context.InputShape(0).dim(-1)) * sizeof(double);
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  const GradOperands operands = {context.Input(0), context.Input(1),  context.Input(2),
                                 context.Input(3), context.Output(0), size};
  auto* sums = reinterpret_cast<double*>(context.operands.workspace);
  return MakeKernel([=, dweight = context.Output(1), threads = context.threads] {
    const Pieces pieces(threads, rows, kLeastRows);
    ForEachPiece(pieces,
                 [&](int piece, int64_t begin, int64_t end) { GradRows(operands, begin, end, sums + piece * size); });
    for (int64_t k = 0; k < size && dweight != nullptr; ++k) {
      double total = 0;
      for (int64_t piece = 0; piece < pieces.count; ++piece) total += sums[piece * size + k];
      dweight[k] = static_cast<float>(total);
    }
  });
}

}  // namespace

KernelRow RmsNormRow(OpKind kind) {
  switch (kind) {
    case OpKind::kRmsNorm:
      return {.prepare = PrepareForward};
    case OpKind::kRmsNormGrad:
      return {.prepare = PrepareGrad, .workspace_bytes = GradWorkspace};
    default:
      return {};
  }
}

}  // namespace lockstep::onednn
