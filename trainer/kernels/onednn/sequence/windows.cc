// Windows over time steps [batch, time, channels], side by side, and the sums back.
#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/windows.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::WindowsGeometry;

/// Windows [begin, end) of all rows together.
LOCKSTEP_ISA_CLONES
void Gather(const WindowsGeometry& geometry, const float* x, float* y, int64_t begin, int64_t end) {
  const WindowsGeometry g = geometry;
  for (int64_t w = begin; w < end; ++w) {
    const int64_t row = w / g.windows, first = w % g.windows * g.stride - g.padding;
    float* to = y + w * g.channels * g.kernel;
    for (int64_t j = 0; j < g.kernel; ++j) {
      const int64_t time_step = first + j;
      if (time_step < 0 || time_step >= g.time_steps) {
        for (int64_t c = 0; c < g.channels; ++c) to[c * g.kernel + j] = 0.0f;
        continue;
      }
      const float* from = x + (row * g.time_steps + time_step) * g.channels;
#pragma GCC ivdep
      for (int64_t c = 0; c < g.channels; ++c) to[c * g.kernel + j] = from[c];
    }
  }
}

/// Time steps [begin, end) of all rows together: each adds up its windows, the first one first.
LOCKSTEP_ISA_CLONES
void Scatter(const WindowsGeometry& geometry, const float* dy, float* dx, int64_t begin, int64_t end) {
  const WindowsGeometry g = geometry;
  for (int64_t at = begin; at < end; ++at) {
    const int64_t row = at / g.time_steps, time_step = at % g.time_steps + g.padding;
    float* to = dx + at * g.channels;
    std::fill_n(to, g.channels, 0.0f);
    const int64_t first = time_step < g.kernel ? 0 : (time_step - g.kernel) / g.stride + 1;
    const int64_t last = std::min(time_step / g.stride, g.windows - 1);
    for (int64_t w = first; w <= last; ++w) {
      const float* from = dy + (row * g.windows + w) * g.channels * g.kernel + (time_step - w * g.stride);
#pragma GCC ivdep
      for (int64_t c = 0; c < g.channels; ++c) to[c] += from[c * g.kernel];
    }
  }
}

constexpr int64_t kLeastTimeSteps = 64;

std::unique_ptr<Kernel> PrepareWindows(const KernelContext& context) {
  const WindowsGeometry g(context, context.InputShape(0), context.OutputShape(0));
  return MakeKernel([g, x = context.Input(0), y = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, g.rows * g.windows, kLeastTimeSteps,
                 [&](int, int64_t begin, int64_t end) { Gather(g, x, y, begin, end); });
  });
}

std::unique_ptr<Kernel> PrepareWindowsGrad(const KernelContext& context) {
  const WindowsGeometry g(context, context.OutputShape(0), context.InputShape(0));
  return MakeKernel([g, dy = context.Input(0), dx = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, g.rows * g.time_steps, kLeastTimeSteps,
                 [&](int, int64_t begin, int64_t end) { Scatter(g, dy, dx, begin, end); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kWindows, .prepare = PrepareWindows},
    {.kind = OpKind::kWindowsGrad, .prepare = PrepareWindowsGrad},
};

}  // namespace

std::span<const KernelRow> WindowsRows() { return kRows; }

}  // namespace lockstep::onednn
