// Weight gradients of convolutions as matrix products over im2col blocks, where oneDNN's own kernels are slow.
//
// Measured on AMD Zen 4, one thread, f32, NHWC, 3x3, in GFLOP/s (oneDNN's convolution, this):
//   AVX2     64 channels at 32x32: 73, 94;  256 to 512 with stride 2: 59, 99;  512 at 4x4: 42, 97;  below 64 channels
//   even AVX-512  64 channels at 32x32: 105, 95; 256 to 512 with stride 2: 63, 102; 512 at 4x4: 56, 98
#pragma once

#include <cstddef>
#include <memory>

#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {

/// Whether a kConv2dWeightGrad is computed this way: decided by its shapes and the instruction set.
bool UsesColumnWeightGrad(const OpContext& context);
size_t ColumnWeightGradWorkspace(const OpContext& context);
/// REQUIRES: UsesColumnWeightGrad(context).
std::unique_ptr<engine::Kernel> PrepareColumnWeightGrad(const KernelContext& context);

}  // namespace lockstep::onednn
