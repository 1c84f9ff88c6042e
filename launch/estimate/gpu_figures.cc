#include "launch/estimate/gpu_figures.h"

#include <algorithm>
#include <iterator>

namespace lockstep::launch {
namespace {

// Of kernels on an H200 as others and cuDNN's plans show them; no kernel of ours has run on one.
constexpr GpuFigures kGpus[] = {{.name = "h200",
                                 .title = "NVIDIA H200",
                                 .memory_bytes = 139.0 * (1 << 30),
                                 .bytes_per_s = 3.5e12,
                                 .product_flops = 620e12,
                                 .odd_product_flops = 110e12,
                                 .float_product_flops = 40e12,
                                 .attention_flops = 410e12,
                                 .attention_grad_flops = 195e12,
                                 .instructions_per_s = 24e12,
                                 .launch_seconds = 1.25e-6,
                                 .upload_bytes_per_s = 40e9,
                                 .processors = 132}};

}  // namespace

const GpuFigures* FindGpu(const std::string& name) {
  const auto* found = std::ranges::find(kGpus, name, [](const GpuFigures& gpu) { return std::string(gpu.name); });
  return found == std::end(kGpus) ? nullptr : found;
}

std::string KnownGpus() {
  std::string names;
  for (const GpuFigures& gpu : kGpus) names += (names.empty() ? "" : ", ") + std::string(gpu.name);
  return names;
}

}  // namespace lockstep::launch
