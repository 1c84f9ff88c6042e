// The memory of one lane batch: the transform's fields and the mask, allocated once for the largest shape and filled
// again and again. Fields that programs read in bf16 are rounded by who fills it, in its place.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/memory.h"
#include "data/batches/batches.h"
#include "data/batches/ledger.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// What one lane trains on at one step: the named input tensors of its program, those of the transform and then "mask"
/// f32 [rows of the shape]: 1 for rows that count, 0 for padding.
struct LaneBatch {
  uint64_t step = 0;
  int lane = 0;
  LaneSamples samples;           ///< its rows; the others are padding
  LossCounts denominators = {};  ///< Batches::Denominators of the step; in evaluation 0
  std::vector<Field> fields;     ///< shapes are [rows of the shape, ...]; types are those that are delivered

  int64_t rows() const { return static_cast<int64_t>(samples.picks.size()); }
  std::vector<std::byte*> data;  ///< one pointer per field, aligned to kBufferAlignment
  LaneDelivery delivery;
};

class LaneBuffers {
 public:
  /// `batch` then points into this. `rounded`: fields of f32 that are delivered in bf16.
  LaneBuffers(const Transform& transform, std::span<const BatchShape> shapes, std::span<const std::string> rounded,
              LaneBatch& batch);

  /// Lays `batch` out for the shape of its samples, and writes the mask and the rows that stand for no sample.
  void Arrange(LaneBatch& batch);
  /// When all rows are written.
  void Round(LaneBatch& batch) const;

 private:
  std::vector<BatchShape> shapes_;
  std::vector<Field> fields_;    ///< the transform's, and "mask"
  std::vector<size_t> rounded_;  ///< of these
  std::vector<Buffer> buffers_;
};

/// Sets pointers to row `row` of each of the transform's fields.
void PointAtRow(const LaneBatch& batch, int64_t row, std::vector<std::byte*>& pointers);

}  // namespace lockstep::data
