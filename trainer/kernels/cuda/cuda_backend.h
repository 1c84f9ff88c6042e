// The GPU backend: matrix products by cuBLASLt, convolutions and most attention in bf16 by cuDNN, everything else by
// block programs of our own (block.h). The same sources run on an emulated device, with loops in the libraries' place.
//
// Bits depend on shapes, types, the kind of device and the versions of the libraries alone: nothing is chosen by
// timing, algorithms that their library calls nondeterministic, or that are known to be (cudnn_attention.h), are left
// out (some of cuDNN's that stay split sums, by shape and number of multiprocessors), and our own kernels add in a
// fixed order, without atomics.
#pragma once

#include <memory>

#include "base/device.h"
#include "trainer/engine/backend.h"
#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep {

/// Kernels that enqueue on `stream`. All three outlive the backend and its kernels.
std::unique_ptr<engine::Backend> MakeCudaBackend(cuda::DenseLibrary& library, DeviceStream& stream);

}  // namespace lockstep
