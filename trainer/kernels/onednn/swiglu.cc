// SwiGLU: each row [2 k] becomes silu(first half) * second half.
#include "base/isa_clones.h"
#include "trainer/kernels/elementwise.h"
#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::OpKind;

LOCKSTEP_ISA_CLONES
void ForwardRows(const float* x, float* y, int64_t begin, int64_t end, int64_t half) {
  for (int64_t r = begin; r < end; ++r) {
    const float *gate = x + r * 2 * half, *up = gate + half;
    float* to = y + r * half;
#pragma GCC ivdep
    for (int64_t i = 0; i < half; ++i) to[i] = kernels::SwiGlu(gate[i], up[i]);
  }
}

LOCKSTEP_ISA_CLONES
void GradRows(const float* dy, const float* x, float* dx, int64_t begin, int64_t end, int64_t half) {
  for (int64_t r = begin; r < end; ++r) {
    const float *d = dy + r * half, *gate = x + r * 2 * half, *up = gate + half;
    float *dgate = dx + r * 2 * half, *dup = dgate + half;
#pragma GCC ivdep
    for (int64_t i = 0; i < half; ++i) {
      const kernels::SwiGluGradient gradient = kernels::SwiGluBackward(d[i], gate[i], up[i]);
      dgate[i] = gradient.gate;
      dup[i] = gradient.up;
    }
  }
}

constexpr int64_t kLeastRows = 16;

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const Shape& y = context.OutputShape(0);
  return MakeKernel(
      [x = context.Input(0), to = context.Output(0), rows = Rows(y), half = y.dim(-1), threads = context.threads] {
        ForEachPiece(threads, rows, kLeastRows,
                     [=](int, int64_t begin, int64_t end) { ForwardRows(x, to, begin, end, half); });
      });
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const Shape& dy = context.InputShape(0);
  return MakeKernel([d = context.Input(0), x = context.Input(1), dx = context.Output(0), rows = Rows(dy),
                     half = dy.dim(-1), threads = context.threads] {
    ForEachPiece(threads, rows, kLeastRows,
                 [=](int, int64_t begin, int64_t end) { GradRows(d, x, dx, begin, end, half); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSwiGlu, .prepare = PrepareForward},
    {.kind = OpKind::kSwiGluGrad, .prepare = PrepareGrad},
};

}  // namespace

std::span<const KernelRow> SwiGluRows() { return kRows; }

}  // namespace lockstep::onednn
