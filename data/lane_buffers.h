// The memory of one lane batch: the transform's fields and the mask, allocated once for the largest shape and filled
// again and again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/memory.h"
#include "data/batches.h"
#include "data/loader.h"

namespace lockstep::data {

class LaneBuffers {
 public:
  /// `batch` then points into this.
  LaneBuffers(const Transform& transform, std::span<const BatchShape> shapes, LaneBatch& batch);

  /// Lays `batch` out for the shape of its samples, and writes the mask and the rows that stand for no sample.
  void Arrange(LaneBatch& batch);

 private:
  std::vector<BatchShape> shapes_;
  std::vector<Field> fields_;  ///< the transform's, and "mask"
  std::vector<Buffer> buffers_;
};

/// Sets pointers to row `row` of each of the transform's fields.
void PointAtRow(const LaneBatch& batch, int64_t row, std::vector<std::byte*>& pointers);

}  // namespace lockstep::data
