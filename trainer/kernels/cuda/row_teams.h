// Work by rows of a matrix [rows, size]: a team of threads takes each row, so that short rows share a block and long
// ones have one to themselves. What a team's threads found is added in a tree; everything follows from the shape alone.
#pragma once

#include <cstdint>

#include "trainer/kernels/cuda/launch.h"
#include "trainer/kernels/cuda/packs.h"

namespace lockstep::cuda {

inline constexpr int kRowThreads = 256;

struct RowPlan {
  int64_t rows = 0, size = 0;
  int team = 4;  ///< threads per row: a power of two from 4 to kRowThreads

  static constexpr int kMostRows = kRowThreads / 4;  ///< per block

  LOCKSTEP_HD int rows_per_block() const { return kRowThreads / team; }
  int64_t blocks() const { return BlocksFor(rows, rows_per_block(), 1); }

  LOCKSTEP_HD int TeamOf(int thread) const { return thread / team; }
  /// The first thread of this thread's team.
  LOCKSTEP_HD int Leader(int thread) const { return thread & ~(team - 1); }
  LOCKSTEP_HD bool Leads(int thread) const { return (thread & (team - 1)) == 0; }
  LOCKSTEP_HD int64_t Row(int64_t block, int thread) const { return block * rows_per_block() + TeamOf(thread); }

  /// Calls visit(i) for the first elements of this thread's packs of a row.
  template <int kPack, typename Visit>
  LOCKSTEP_HD void ForEachPack(int thread, Visit&& visit) const {
    for (int64_t i = int64_t{thread & (team - 1)} * kPack; i < size; i += int64_t{team} * kPack) visit(i);
  }
};

/// About four packs per thread.
inline RowPlan PlanRows(int64_t rows, int64_t size, int pack) {
  RowPlan plan{.rows = rows, .size = size};
  while (plan.team < kRowThreads && int64_t{plan.team} * pack * 4 < size) plan.team *= 2;
  return plan;
}

/// Each leader's value becomes its team's: fold(a, b) of halves and halves of halves, as TreeSum does.
template <typename Block, typename T, typename Fold>
LOCKSTEP_HD void FoldTeams(Block& block, const RowPlan& plan, T* values, Fold&& fold) {
  for (int half = plan.team / 2; half > 0; half /= 2) {
    block.ForEachThread([&](int t) {
      if ((t & (plan.team - 1)) < half) values[t] = fold(values[t], values[t + half]);
    });
  }
}

template <typename Block, typename T>
LOCKSTEP_HD void SumTeams(Block& block, const RowPlan& plan, T* values) {
  FoldTeams(block, plan, values, [](T a, T b) { return a + b; });
}

/// sum = values[0] + .. + values[count - 1], in an order that is fixed: one block.
template <typename T>
struct AddUp {
  static constexpr int kThreads = 512;
  struct Shared {
    T sums[kThreads];
  };

  const T* values;
  int64_t count;
  T* sum;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      T mine = 0;
      for (int64_t i = t; i < count; i += kThreads) mine += values[i];
      shared.sums[t] = mine;
    });
    TreeSum<kThreads>(block, shared.sums);
    block.ForEachThread([&](int t) {
      if (t == 0) *sum = shared.sums[0];
    });
  }
};

}  // namespace lockstep::cuda
