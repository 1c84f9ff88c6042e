// Activations by themselves: for the op, and for kernels that apply one to what a library has written.
#pragma once

#include <cstdint>

#include "base/device.h"
#include "base/shape.h"
#include "trainer/graph/graph.h"

namespace lockstep::cuda {

/// y = act(x) for `size` elements of `type`, f32 or bf16; y may be x.
void LaunchActivation(DeviceStream& stream, graph::Activation kind, DType type, const void* x, void* y, int64_t size);

}  // namespace lockstep::cuda
