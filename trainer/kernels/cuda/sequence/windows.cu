// Windows over time steps [batch, time, channels], side by side, and the sums back: a thread per element of the result.
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/windows.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::WindowsGeometry;

template <typename T>
struct Gather {
  static constexpr int kThreads = 256;

  WindowsGeometry g;
  const T* x;
  T* y;

  int64_t size() const { return g.rows * g.windows * g.channels * g.kernel; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = block.index() * kThreads + t;
      const Quotient tap = Divide(at, g.kernel), channel = Divide(tap.quotient, g.channels);
      const Quotient window = Divide(channel.quotient, g.windows);
      if (window.quotient >= g.rows) return;
      const int64_t time_step = window.remainder * g.stride + tap.remainder - g.padding;
      const bool inside = time_step >= 0 && time_step < g.time_steps;
      y[at] = inside ? x[(window.quotient * g.time_steps + time_step) * g.channels + channel.remainder]
                     : FromFloat<T>(0.0f);
    });
  }
};

/// Each time step adds up its windows, the first one first.
template <typename T>
struct Scatter {
  static constexpr int kThreads = 256;

  WindowsGeometry g;
  const T* dy;
  T* dx;

  int64_t size() const { return g.rows * g.time_steps * g.channels; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = block.index() * kThreads + t;
      const Quotient channel = Divide(at, g.channels), row = Divide(channel.quotient, g.time_steps);
      if (row.quotient >= g.rows) return;
      const int64_t time_step = row.remainder + g.padding;
      const int64_t first = time_step < g.kernel ? 0 : Divide(time_step - g.kernel, g.stride).quotient + 1;
      int64_t last = Divide(time_step, g.stride).quotient;
      last = last < g.windows ? last : g.windows - 1;
      float sum = 0;
      for (int64_t w = first; w <= last; ++w) {
        const int64_t from = ((row.quotient * g.windows + w) * g.channels + channel.remainder) * g.kernel;
        sum += ToFloat(dy[from + time_step - w * g.stride]);
      }
      dx[at] = FromFloat<T>(sum);
    });
  }
};

template <template <typename> typename Move>
std::unique_ptr<Kernel> PrepareMove(const KernelContext& context, const WindowsGeometry& geometry) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const Move<T> kernel{geometry, context.Input<T>(0), context.Output<T>(0)};
    return MakeKernel(
        [kernel, stream = &context.stream] { Launch(*stream, BlocksFor(kernel.size(), kernel.kThreads, 1), kernel); });
  });
}

std::unique_ptr<Kernel> PrepareWindows(const KernelContext& context) {
  return PrepareMove<Gather>(context, {context, context.InputShape(0), context.OutputShape(0)});
}

std::unique_ptr<Kernel> PrepareWindowsGrad(const KernelContext& context) {
  return PrepareMove<Scatter>(context, {context, context.OutputShape(0), context.InputShape(0)});
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kWindows, .prepare = PrepareWindows},
    {.kind = OpKind::kWindowsGrad, .prepare = PrepareWindowsGrad},
};

}  // namespace

std::span<const KernelRow> WindowsRows() { return kRows; }

}  // namespace lockstep::cuda
