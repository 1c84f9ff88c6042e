// What the kernels of trainer/kernels/cuda and the way around them come to, for estimates. Instructions are those of
// sm_90's machine code along the path that most threads take; GELU's are counts of its kernels before they were made
// leaner, times what is left of all their instructions. The conclusion's seconds are reckoned from the latency of an
// addition. A byte's copy on the host is what processors did it in that programs were developed on: 10 GB/s or more.
// Whoever makes a kernel leaner changes its number here.
#include "launch/estimate/gpu_model.h"

namespace lockstep::launch {

GpuKernels OurKernels() {
  using graph::OpKind;
  return {.instructions = {{OpKind::kSoftmaxCrossEntropy, 21},
                           {OpKind::kSoftmaxCrossEntropyGrad, 23},
                           {OpKind::kLayerNorm, 18},
                           {OpKind::kLayerNormGrad, 21},
                           {OpKind::kPixels, 52},
                           {OpKind::kBatchNormTrain, 14},
                           {OpKind::kBatchNormGrad, 21}},
          .activations = {{graph::Activation::kGelu, {59, 65}}, {graph::Activation::kGeluTanh, {54, 57}}},
          // Batch norm reads x, or dy, x and y, once for its sums and once more for its results. Layer norm's barriers
          // keep a row's threads from reading ahead.
          .passes = {{OpKind::kBatchNormTrain, 1.5},
                     {OpKind::kBatchNormGrad, 1.75},
                     {OpKind::kLayerNorm, 1.5},
                     {OpKind::kLayerNormGrad, 1.5}},
          .splits_k = true,
          .pads_rows = true,
          .stages_beside_lanes = true,
          .conclusion_seconds = 13e-9,
          .copy_seconds = 0.1e-9,
          .host_seconds = 0.4e-3};
}

}  // namespace lockstep::launch
