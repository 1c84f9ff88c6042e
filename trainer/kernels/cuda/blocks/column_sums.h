// sums[c] = the sum over all rows of x [rows, columns]: the gradients of biases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/device.h"
#include "base/shape.h"
#include "trainer/engine/backend.h"

namespace lockstep::cuda {

size_t ColumnSumsWorkspace(DType type, int64_t rows, int64_t columns);
/// x: of `type`, f32 or bf16; sums: float. Threads sum in float, their sums are added in double.
std::unique_ptr<engine::Kernel> PrepareColumnSums(DType type, const void* x, int64_t rows, int64_t columns, float* sums,
                                                  std::byte* workspace, DeviceStream& stream);

}  // namespace lockstep::cuda
