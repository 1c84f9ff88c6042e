// The memory of one lane batch: the transform's fields and the mask, allocated once and filled again and again.
#pragma once

#include <cstdint>
#include <vector>

#include "base/memory.h"
#include "data/loader.h"

namespace lockstep::data {

/// Lays out `batch` for `rows` rows of `transform`'s fields and "mask", and returns the buffers that batch.data points
/// into.
std::vector<Buffer> AllocateLaneBatch(const Transform& transform, int64_t rows, LaneBatch& batch);

/// Sets pointers to row `row` of each of the transform's fields.
void PointAtRow(const LaneBatch& batch, int64_t row, std::vector<std::byte*>& pointers);

}  // namespace lockstep::data
