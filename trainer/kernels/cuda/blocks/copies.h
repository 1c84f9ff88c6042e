// Copies that change the element type or the order of dimensions: layouts, and packed copies of parameters.
#pragma once

#include <cstdint>
#include <memory>

#include "base/device.h"
#include "base/shape.h"
#include "trainer/engine/backend.h"

namespace lockstep::cuda {

/// to[i] = from[i] for i < size; types: f32 or bf16.
std::unique_ptr<engine::Kernel> PrepareConversion(DType from_type, const void* from, DType to_type, void* to,
                                                  int64_t size, DeviceStream& stream);

struct TransposeShape {
  int64_t batch, rows, columns;
  int64_t from_pitch = 0;  ///< elements from one of from's rows to the next; 0: `columns`
  int64_t to_pitch = 0;    ///< and of to's; 0: `rows`. What lies between is filled with zeros
};
/// to [batch, columns, rows] = from [batch, rows, columns]; types: f32 or bf16.
std::unique_ptr<engine::Kernel> PrepareTransposes(DType from_type, const void* from, DType to_type, void* to,
                                                  const TransposeShape& shape, DeviceStream& stream);

}  // namespace lockstep::cuda
