// Bias and relu behind a matrix product, where the library has no product with them in it.
#pragma once

#include <cstdint>

#include "base/device.h"
#include "base/shape.h"

namespace lockstep::cuda {

/// y[row, column] += bias[column], and then relu where `relu`; y and bias of `type`, f32 or bf16. bias may be null.
void LaunchProductFinish(DeviceStream& stream, DType type, const void* bias, bool relu, void* y, int64_t rows,
                         int64_t columns);

}  // namespace lockstep::cuda
