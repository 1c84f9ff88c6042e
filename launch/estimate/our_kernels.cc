// What the kernels of trainer/kernels/cuda and the way around them come to, for estimates. Instructions are those of
// sm_90's machine code along the path that most threads take; GELU's are counts of its kernels before they were made
// leaner, times what is left of all their instructions. Activations that are looked up are 13 to 16 instructions an
// element, the table's included; shared memory takes longer: of 32 entries that a warp asks for, some three or four lie
// in one bank, for each of which a processor issues four instructions, and 16-byte loads and stores go the same way.
// The conclusion's seconds are reckoned from the latency of an addition. A byte's copy on the host is what processors
// did it in that programs were developed on: 10 GB/s or more. Whoever makes a kernel leaner changes its number here.
#include "launch/estimate/gpu_model.h"

#include "trainer/kernels/cuda/activation_table.h"

namespace lockstep::launch {

GpuKernels OurKernels() {
  using graph::OpKind;
  return {.instructions = {{OpKind::kSoftmaxCrossEntropy, 16},
                           {OpKind::kSoftmaxCrossEntropyGrad, 17},
                           {OpKind::kSoftmaxCrossEntropyTrain, 35},
                           {OpKind::kLayerNorm, 30},
                           {OpKind::kLayerNormGrad, 43},
                           {OpKind::kAddLayerNorm, 40},
                           {OpKind::kAddLayerNormGrad, 43},
                           {OpKind::kPixels, 75},
                           {OpKind::kBatchNormTrain, 14},
                           {OpKind::kBatchNormGrad, 21},
                           {OpKind::kBatchNormAddTrain, 15},
                           {OpKind::kBatchNormAddGrad, 25}},
          .activations = {{graph::Activation::kGelu, {59, 65}}, {graph::Activation::kGeluTanh, {54, 57}}},
          .tabulated = {{graph::Activation::kGelu, {18, 20}}, {graph::Activation::kGeluTanh, {18, 20}}},
          .fewest_tabulated = static_cast<double>(cuda::kFewestTabulated),
          // Batch norm reads x, or dy and x, once for its sums and once more for its results; where two gradients come
          // in, their sum is written and read again in their place. Norms of rows keep what they read; beside it, their
          // gradients write a few hundred rows of partial sums. A cross entropy with its gradient finds the row that it
          // reads again in the second-level cache.
          .passes = {{OpKind::kBatchNormTrain, 1.5},
                     {OpKind::kBatchNormGrad, 5.0 / 3},
                     {OpKind::kBatchNormAddTrain, 4.0 / 3},
                     {OpKind::kBatchNormAddGrad, 8.0 / 6},
                     {OpKind::kLayerNormGrad, 1.02},
                     {OpKind::kRmsNormGrad, 1.01},
                     {OpKind::kAddLayerNormGrad, 1.02},
                     {OpKind::kAddRmsNormGrad, 1.01}},
          .splits_k = true,
          .sums_biases_apart = true,
          .pads_rows = true,
          .stages_beside_lanes = true,
          .lane_ahead = true,
          .conclusion_seconds = 13e-9,
          .copy_seconds = 0.1e-9,
          .host_seconds = 0.4e-3};
}

}  // namespace lockstep::launch
