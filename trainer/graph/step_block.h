// The few numbers that vary per step and lane, in memory that prepared kernels read: nothing else changes between runs
// of a program. Plain data: copied to devices as it is.
#pragma once

#include <cstdint>

namespace lockstep::graph {

struct StepBlock {
  static constexpr int kMaxLosses = 4;

  uint64_t seed = 0;
  uint64_t step = 0;
  uint64_t first_sample = 0;  ///< global index (position in the endless stream) of row 0; rows are consecutive
  float loss_scale[kMaxLosses] = {1, 1, 1, 1};  ///< 1 / the loss's denominator over the global batch
};

}  // namespace lockstep::graph
