// The GPU backend: matrix products by cuBLASLt, convolutions by cuDNN, everything else by block programs of our own
// (block.h). The same sources run on an emulated device, with loops in the libraries' place.
//
// Bits depend on shapes, types, the kind of device and the versions of the libraries alone: nothing is chosen by timing,
// no sum is split or made by atomics, and our own kernels add in a fixed order.
#pragma once

#include <memory>

#include "base/device.h"
#include "trainer/engine/backend.h"
#include "trainer/kernels/cuda/dense_library.h"

namespace lockstep {

/// Kernels that enqueue on `stream`. All three outlive the backend and its kernels.
std::unique_ptr<engine::Backend> MakeCudaBackend(cuda::DenseLibrary& library, DeviceStream& stream);

}  // namespace lockstep
