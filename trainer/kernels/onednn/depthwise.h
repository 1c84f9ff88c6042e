// Gradients of depthwise convolutions (a filter for each channel), where oneDNN's own kernels are slow.
//
// Measured on AMD Zen 4, one thread, f32, NHWC, batch 8, in milliseconds (oneDNN 2.6 with AVX-512, this; with AVX2
// oneDNN is slower):
//   weight gradient  64 channels at 56x56, 5x5: 8.3, 1.1; stride 2: 2.8, 0.36;  128 at 28x28, 5x5: 4.3, 0.67
//                    96 at 56x56, 7x7: 18.5, 4.6;  128 at 28x28, 3x3 with dilation 2: 2.3, 0.26
//                    64 at 56x56, 3x3: 0.22, 0.49: oneDNN's is kept
//   input gradient   128 at 28x28, 3x3 with dilation 2: 2.0, 0.26;  576 at 14x14: 3.6, 0.31
//                    64 at 56x56, 5x5: 0.78, 1.2: oneDNN's is kept where there is no dilation
#pragma once

#include <cstddef>
#include <memory>

#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {

/// Whether a kConv2dWeightGrad or kConv2dInputGrad is computed this way: decided by its shapes and attributes.
bool UsesDepthwiseWeightGrad(const OpContext& context);
bool UsesDepthwiseInputGrad(const OpContext& context);

/// REQUIRES, for all that follow: what says so above.
size_t DepthwiseWeightGradWorkspace(const OpContext& context);
std::unique_ptr<engine::Kernel> PrepareDepthwiseWeightGrad(const KernelContext& context);
size_t DepthwiseInputGradWorkspace(const OpContext& context);
std::unique_ptr<engine::Kernel> PrepareDepthwiseInputGrad(const KernelContext& context);

}  // namespace lockstep::onednn
