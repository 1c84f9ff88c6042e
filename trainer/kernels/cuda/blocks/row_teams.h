// Work by rows of a matrix [rows, size]: a team of threads takes each row, so that short rows share a block and long
// ones have one to themselves. What a team's threads found is added in a tree; everything follows from the shape alone.
#pragma once

#include <cstdint>
#include <limits>

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"

namespace lockstep::cuda {

inline constexpr int kRowThreads = 256;
/// A constant, as device code may not call std::numeric_limits.
inline constexpr float kLeastFloat = -std::numeric_limits<float>::infinity();

struct RowPlan {
  int64_t rows = 0, size = 0;
  int64_t pitch = 0;  ///< elements from one row to the next; 0: size. ForEachAlignedPack's alone
  int team = 4;       ///< threads per row: a power of two from 4 to `threads`
  int threads = kRowThreads;

  static constexpr int kMostRows = kRowThreads / 4;  ///< per block

  LOCKSTEP_HD int rows_per_block() const { return threads / team; }
  int64_t blocks() const { return BlocksFor(rows, rows_per_block(), 1); }

  LOCKSTEP_HD int TeamOf(int thread) const { return thread / team; }
  /// The first thread of this thread's team.
  LOCKSTEP_HD int Leader(int thread) const { return thread & ~(team - 1); }
  LOCKSTEP_HD bool Leads(int thread) const { return (thread & (team - 1)) == 0; }
  LOCKSTEP_HD int64_t Row(int64_t block, int thread) const { return block * rows_per_block() + TeamOf(thread); }

  /// The first element of a row.
  LOCKSTEP_HD int64_t Begin(int64_t row) const { return row * (pitch > 0 ? pitch : size); }

  /// Calls visit(i) for the first elements of this thread's packs of a row.
  template <int kPack, typename Visit>
  LOCKSTEP_HD void ForEachPack(int thread, Visit&& visit) const {
    for (int64_t i = int64_t{thread & (team - 1)} * kPack; i < size; i += int64_t{team} * kPack) visit(i);
  }
  /// Calls visit(values, i) for this thread's packs of its row of `data` [rows, size], which begin with element i of
  /// the row; for none behind the last row.
  template <int kPack, typename T, typename Visit>
  LOCKSTEP_HD void ForEachPackOf(const T* data, int64_t block, int thread, Visit&& visit) const {
    const int64_t row = Row(block, thread);
    if (row >= rows) return;
    ForEachPack<kPack>(thread, [&](int64_t i) {
      float values[kPack];
      LoadPack<kPack>(data + row * size + i, values);
      visit(values, i);
    });
  }
  /// Of row `row` of data, which begins anywhere, at Begin(row): calls pack(i) for this thread's packs that lie at
  /// multiples of kPack elements of the data, and element(i) for those before the first and behind the last of them.
  template <int kPack, typename VisitPack, typename VisitElement>
  LOCKSTEP_HD void ForEachAlignedPack(int64_t row, int thread, VisitPack&& pack, VisitElement&& element) const {
    const int64_t before = -Begin(row) & (kPack - 1), head = before < size ? before : size;
    const int64_t end = head + (size - head) / kPack * kPack;
    const int64_t lane = thread & (team - 1);
    for (int64_t i = head + lane * kPack; i < end; i += int64_t{team} * kPack) pack(i);
    for (int64_t i = lane; i < head + size - end; i += team) element(i < head ? i : i - head + end);
  }
};

/// Packs that a thread takes of a row, but for rows for which a block's threads are too few.
inline constexpr int kRowPacks = 4;

inline RowPlan PlanRows(int64_t rows, int64_t size, int pack, int threads = kRowThreads) {
  RowPlan plan{.rows = rows, .size = size, .threads = threads};
  while (plan.team < threads && int64_t{plan.team} * pack * kRowPacks < size) plan.team *= 2;
  return plan;
}

/// Each leader's value becomes its team's: fold(a, b) of halves and halves of halves, as TreeSum does. A step's results
/// are read within groups of `half` threads, the last one's by the whole team.
template <typename Block, typename T, typename Fold>
LOCKSTEP_HD void FoldTeams(Block& block, const RowPlan& plan, T* values, Fold&& fold) {
  for (int half = plan.team / 2; half > 0; half /= 2) {
    block.ForEachThreadOfGroups(half > 1 ? half : plan.team, [&](int t) {
      if ((t & (plan.team - 1)) < half) values[t] = fold(values[t], values[t + half]);
    });
  }
}

template <typename Block, typename T>
LOCKSTEP_HD void SumTeams(Block& block, const RowPlan& plan, T* values) {
  FoldTeams(block, plan, values, [](T a, T b) { return a + b; });
}

/// Each leader's value becomes the largest of its row of `data`; -infinity where nothing is above that.
template <int kPack, typename Block, typename T>
LOCKSTEP_HD void LargestOfRows(Block& block, const RowPlan& plan, const T* data, float* values) {
  block.ForEachThread([&](int t) {
    float largest = kLeastFloat;
    plan.ForEachPackOf<kPack>(data, block.index(), t, [&](const float* v, int64_t) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) largest = v[i] > largest ? v[i] : largest;
    });
    values[t] = largest;
  });
  FoldTeams(block, plan, values, [](float a, float b) { return b > a ? b : a; });
}

/// A value and its place in its row: the greater one wins, and of equals the first.
struct PlacedValue {
  float value;
  int64_t place;

  LOCKSTEP_HD bool Beats(const PlacedValue& other) const {
    return value > other.value || (value == other.value && place < other.place);
  }
};

/// Each leader's value becomes the first largest of its row of `data`; place `size` where nothing is above -infinity.
template <int kPack, typename Block, typename T>
LOCKSTEP_HD void FirstLargestOfRows(Block& block, const RowPlan& plan, const T* data, PlacedValue* values) {
  block.ForEachThread([&](int t) {
    PlacedValue best{kLeastFloat, plan.size};
    plan.ForEachPackOf<kPack>(data, block.index(), t, [&](const float* v, int64_t at) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const PlacedValue candidate{v[i], at + i};
        if (candidate.Beats(best)) best = candidate;
      }
    });
    values[t] = best;
  });
  FoldTeams(block, plan, values, [](const PlacedValue& a, const PlacedValue& b) { return b.Beats(a) ? b : a; });
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
