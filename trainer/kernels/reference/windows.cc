// Windows over time steps, side by side: a copy, and sums of at most `kernel` terms back.
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

using graph::WindowsAttributes;

/// Calls run(index in x, index in y) for every element of y that lies in x. Shapes: [n, t, c] and [n, t', c kernel].
template <typename F>
void ForEachElement(const WindowsAttributes& attributes, const Shape& x, const Shape& y, F run) {
  const int64_t time_steps = x[1], channels = x[2], kernel = attributes.kernel;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t j = i % kernel, channel = i / kernel % channels, window = i / y[2] % y[1], row = i / (y[1] * y[2]);
    const int64_t time_step = window * attributes.stride + j - attributes.padding;
    if (time_step < 0 || time_step >= time_steps) continue;
    run(static_cast<size_t>((row * time_steps + time_step) * channels + channel), static_cast<size_t>(i));
  }
}

std::vector<Tensor> Windows(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<WindowsAttributes>();
  const int64_t room = x.shape[1] + 2 * attributes.padding - attributes.kernel;
  Tensor y = Zeros({x.shape[0], room / attributes.stride + 1, x.shape[2] * attributes.kernel}, 1);
  ForEachElement(attributes, x.shape, y.shape, [&](size_t from, size_t to) { y.data[to] = x.data[from]; });
  return {y};
}

std::vector<Tensor> WindowsGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const auto& attributes = call.op.as<WindowsAttributes>();
  Tensor dx = Zeros(attributes.result, attributes.kernel);
  ForEachElement(attributes, dx.shape, dy.shape, [&](size_t to, size_t from) { Add(dx, to, dy.data[from]); });
  return {dx};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kWindows, .run = Windows},
    {.kind = OpKind::kWindowsGrad, .run = WindowsGrad},
};

}  // namespace

std::span<const OpFunction> WindowsRows() { return kRows; }

}  // namespace lockstep::reference
