// The GPU backend on an emulated device, behind the interface that the conformance test drives: a kernel's Run returns
// when its work is done.
#pragma once

#include <memory>

#include "trainer/engine/backend.h"
#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::cuda {

/// Device, stream and loops in the libraries' place are the backend's own.
std::unique_ptr<engine::Backend> MakeEmulatedBackend();
/// With another library than loops. It enqueues on the emulated stream that it is given.
std::unique_ptr<engine::Backend> MakeEmulatedBackend(std::unique_ptr<DenseLibrary> library);

}  // namespace lockstep::cuda
