#include "trainer/onnx/fold/windows.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::onnx {
namespace {

/// Strides, dilations and padding as they are written; padding by auto_pad stays 0.
Windows Written(const Step& step, Dims kernel) {
  const size_t spatial = step.DimsOf(0).size() < 3 ? 0 : step.DimsOf(0).size() - 2;
  if (spatial == 0 || kernel.size() != spatial)
    throw Unsupported(fmt::format("a kernel {} on {}", ToString(kernel), ToString(step.DimsOf(0))));
  Windows windows{.kernel = std::move(kernel),
                  .stride = step.attributes.Ints("strides", Dims(spatial, 1)),
                  .dilation = step.attributes.Ints("dilations", Dims(spatial, 1)),
                  .before = Dims(spatial, 0),
                  .after = Dims(spatial, 0),
                  .output = Dims(spatial, 0),
                  .beyond = Dims(spatial, 0)};
  const Dims pads = step.attributes.Ints("pads", Dims(2 * spatial, 0));
  if (pads.size() != 2 * spatial || windows.stride.size() != spatial || windows.dilation.size() != spatial)
    throw Unsupported("pads, strides or dilations of other dimensions than there are");
  for (size_t d = 0; d < spatial; ++d) {
    windows.before[d] = Sensible(pads[d]);
    windows.after[d] = Sensible(pads[spatial + d]);
    for (const int64_t size : {windows.stride[d], windows.dilation[d], windows.kernel[d]}) Sensible(size);
    if (windows.stride[d] < 1 || windows.dilation[d] < 1 || windows.kernel[d] < 1)
      throw Unsupported("strides, dilations or kernels below 1");
  }
  return windows;
}

int64_t Reach(const Windows& windows, size_t d) { return (windows.kernel[d] - 1) * windows.dilation[d] + 1; }

/// SAME_UPPER puts the odd one behind, SAME_LOWER before.
void Share(Windows& windows, size_t d, int64_t total, bool odd_before) {
  total = std::max<int64_t>(total, 0);
  windows.before[d] = odd_before ? (total + 1) / 2 : total / 2;
  windows.after[d] = total - windows.before[d];
}

}  // namespace

Windows WindowsOf(const Step& step, Dims kernel) {
  Windows windows = Written(step, std::move(kernel));
  const std::string automatic = step.attributes.String("auto_pad", "NOTSET");
  const bool ceil = step.attributes.Int("ceil_mode", 0) != 0;
  for (size_t d = 0; d < windows.kernel.size(); ++d) {
    const int64_t x = step.DimsOf(0)[d + 2], stride = windows.stride[d], reach = Reach(windows, d);
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      windows.output[d] = (x + stride - 1) / stride;
      Share(windows, d, (windows.output[d] - 1) * stride + reach - x, automatic == "SAME_LOWER");
      continue;
    }
    const int64_t padded = x + windows.before[d] + windows.after[d];
    if (padded < reach) throw Unsupported(fmt::format("a window of {} on {}", reach, padded));
    windows.output[d] = (padded - reach) / stride + 1;
    // The last window must begin in the input or the padding before it, as in PyTorch and newer versions of the
    // standard.
    if (ceil && (padded - reach) % stride != 0 && windows.output[d] * stride < x + windows.before[d]) {
      windows.beyond[d] = windows.output[d] * stride + reach - padded;
      ++windows.output[d];
    }
  }
  return windows;
}

Windows TransposedWindowsOf(const Step& step, Dims kernel) {
  Windows windows = Written(step, std::move(kernel));
  const size_t spatial = windows.kernel.size();
  const Dims extra = step.attributes.Ints("output_padding", Dims(spatial, 0));
  const Dims wanted = step.attributes.Ints("output_shape");
  const std::string automatic = step.attributes.String("auto_pad", "NOTSET");
  if (extra.size() != spatial || (!wanted.empty() && wanted.size() != spatial))
    throw Unsupported("output_padding or output_shape of other dimensions than there are");
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t full = (step.DimsOf(0)[d + 2] - 1) * windows.stride[d] + Sensible(extra[d]) + Reach(windows, d);
    const bool same = automatic == "SAME_UPPER" || automatic == "SAME_LOWER";
    if (!wanted.empty() || same) {
      windows.output[d] = wanted.empty() ? step.DimsOf(0)[d + 2] * windows.stride[d] : Sensible(wanted[d]);
      const int64_t cut = full - windows.output[d];
      Share(windows, d, cut, automatic != "SAME_UPPER");
      if (cut < 0) windows.after[d] = cut;  // more than windows reach: behind them
    }
    windows.output[d] = full - windows.before[d] - windows.after[d];
  }
  return windows;
}

}  // namespace lockstep::onnx
