// Sums over rows: each block adds its rows' numbers in row order, and a second kernel adds the blocks.
#pragma once

#include <cstdint>

#include "trainer/kernels/cuda/blocks/row_teams.h"

namespace lockstep::cuda {

/// What a block's rows come to, added by its first thread.
template <typename T>
LOCKSTEP_HD T SumOfRows(const RowPlan& plan, int64_t block, const T* by_team) {
  T sum = 0;
  for (int team = 0; team < plan.rows_per_block() && block * plan.rows_per_block() + team < plan.rows; ++team) {
    sum += by_team[team];
  }
  return sum;
}

/// Adds up what the blocks of `plan` left in `by_block`; nothing where the sum is not wanted.
template <typename T>
void LaunchSumOfBlocks(DeviceStream& stream, const RowPlan& plan, const T* by_block, T* sum) {
  if (sum != nullptr) Launch(stream, 1, AddUp<T>{by_block, plan.blocks(), sum});
}

}  // namespace lockstep::cuda
