// Rows of a matrix that a team of threads (row_teams.h) reads once and keeps, each thread its packs in registers, for
// the phases that need them again. Rows too long for that are read in each phase.
#pragma once

#include <cstdint>
#include <type_traits>

#include "trainer/kernels/cuda/blocks/row_teams.h"

namespace lockstep::cuda {

/// A thread's packs of a row of one operand, where they fit: read once, and kept between phases.
template <typename T, int kPack>
struct KeptPacks {
  Pack<T, kPack> at[kRowPacks];
};
struct NothingKept {};

/// Whether each thread's packs of a row are few enough to keep. Odd rows, whose packs are single elements, read again.
template <int kPack>
bool KeepsRows(const RowPlan& plan) {
  return kPack > 1 && plan.size <= int64_t{plan.team} * kPack * kRowPacks;
}

/// Calls visit(p, i) for this thread's packs of a row: the p-th (0 where nothing is kept) begins with element i. None
/// behind the last row.
template <bool kKeep, int kPack, typename Visit>
LOCKSTEP_HD void ForEachKeptPack(const RowPlan& plan, int64_t block, int t, Visit&& visit) {
  if (plan.Row(block, t) >= plan.rows) return;
  if constexpr (kKeep) {
    LOCKSTEP_UNROLL
    for (int p = 0; p < kRowPacks; ++p) {
      const int64_t i = (int64_t{t & (plan.team - 1)} + int64_t{p} * plan.team) * kPack;
      if (i < plan.size) visit(p, i);
    }
  } else {
    plan.ForEachPack<kPack>(t, [&](int64_t i) { visit(0, i); });
  }
}

/// Loads the pack at `from` to `to`, by way of what is kept: read where kFirst, and else taken from there.
template <int kPack, bool kFirst, typename Kept, typename T>
LOCKSTEP_HD void LoadKept(Kept& kept, int p, const T* from, float* to) {
  if constexpr (std::is_same_v<Kept, NothingKept>) {
    LoadPack<kPack>(from, to);
  } else {
    if constexpr (kFirst) kept.at[p] = *reinterpret_cast<const Pack<T, kPack>*>(from);
    Unpack(kept.at[p], to);
  }
}

}  // namespace lockstep::cuda
