// LSTM and GRU forward: at each time step the product of the states with a panel's weights, a few rows at a time, and
// the units' own arithmetic while it lies in the first-level cache. See fused_simd.h for how this is compiled.
#pragma once

#include "trainer/kernels/onednn/sequence/fused_simd.h"
#include "trainer/kernels/onednn/sequence/recurrent.h"
#include "trainer/kernels/recurrent.h"

namespace lockstep::onednn {
namespace {

// An instruction set P has, besides what fused_simd.h asks for:
//   kStateRows       rows of a tile of the product, which has 64 columns (48 for a GRU) in kPer<P> parts

/// to [kRows][16 kPanels] = rows [kRows, size] panel [size, 16 kPanels], summed over `size` in order.
template <typename P, int kPanels, int kRows>
LOCKSTEP_HD void MultiplyTile(const float* const* rows, const float* panel, int64_t size, float* to) {
  using V = typename P::V;
  constexpr int kColumns = kPanels * static_cast<int>(kPanel);
  for (int part = 0; part < kPer<P>; ++part) {
    V sums[kRows][kPanels];
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kPanels; ++j) sums[i][j] = V{};
    }
    const float* columns = panel + part * kPanels * kWidth<V>;
    for (int64_t k = 0; k < size; ++k, columns += kColumns) {
      V right[kPanels];
      for (int j = 0; j < kPanels; ++j) right[j] = Load<V>(columns + j * kWidth<V>);
      for (int i = 0; i < kRows; ++i) {
        const V left = Splat<V>(rows[i][k]);
        for (int j = 0; j < kPanels; ++j) sums[i][j] = P::Fma(left, right[j], sums[i][j]);
      }
    }
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kPanels; ++j) Store(to + i * kColumns + (part * kPanels + j) * kWidth<V>, sums[i][j]);
    }
  }
}

/// Of `count` rows, up to kRows.
template <typename P, int kPanels, int kRows = P::kStateRows>
LOCKSTEP_HD void MultiplyRows(int64_t count, const float* const* rows, const float* panel, int64_t size, float* to) {
  if (count == kRows) return MultiplyTile<P, kPanels, kRows>(rows, panel, size, to);
  if constexpr (kRows > 1) MultiplyRows<P, kPanels, kRows - 1>(count, rows, panel, size, to);
}

/// The same from the plain weight [.., hidden] for one unit's gate: to[i * row] = rows[i] weight. Sixteen partial sums.
template <typename P, int kRows>
LOCKSTEP_HD void DotTile(const float* const* rows, const float* weight, int64_t size, float* to, int64_t row) {
  using V = typename P::V;
  V sums[kRows][kPer<P>];
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kPer<P>; ++j) sums[i][j] = V{};
  }
  int64_t k = 0;
  for (; k + kPanel <= size; k += kPanel) {
    for (int j = 0; j < kPer<P>; ++j) {
      const V right = Load<V>(weight + k + j * kWidth<V>);
      for (int i = 0; i < kRows; ++i) {
        sums[i][j] = P::Fma(Load<V>(rows[i] + k + j * kWidth<V>), right, sums[i][j]);
      }
    }
  }
  for (int i = 0; i < kRows; ++i) {
    float sum = Total(sums[i]);
    for (int64_t rest = k; rest < size; ++rest) sum += rows[i][rest] * weight[rest];
    to[i * row] = sum;
  }
}
template <typename P, int kRows = P::kStateRows>
LOCKSTEP_HD void DotRows(int64_t count, const float* const* rows, const float* weight, int64_t size, float* to,
                         int64_t row) {
  if (count == kRows) return DotTile<P, kRows>(rows, weight, size, to, row);
  if constexpr (kRows > 1) DotRows<P, kRows - 1>(count, rows, weight, size, to, row);
}

/// Sixteen units of a row, or the first `count` of them; what is behind those is zero.
struct Units {
  int64_t first, count;

  LOCKSTEP_HD void Read(const float* from, float* to) const {
    if (count == kPanel) {
      __builtin_memcpy(to, from, kPanel * sizeof(float));
      return;
    }
    for (int64_t u = 0; u < kPanel; ++u) to[u] = u < count ? from[u] : 0.0f;
  }
  LOCKSTEP_HD void Write(const float* from, float* to) const {
    if (count == kPanel) {
      __builtin_memcpy(to, from, kPanel * sizeof(float));
      return;
    }
    for (int64_t u = 0; u < count; ++u) to[u] = from[u];
  }
};

/// Rows of [begin, end) whose length reaches `time_step`, in order; their number.
LOCKSTEP_HD int64_t FindActive(const RecurrentShape& s, int64_t begin, int64_t end, int64_t time_step,
                               int32_t* active) {
  int64_t count = 0;
  for (int64_t r = begin; r < end; ++r) {
    if (time_step < s.Length(r)) active[count++] = static_cast<int32_t>(r);
  }
  return count;
}

/// Calls run(rows, count) for tiles of up to kRows of `count` rows, of sizes that differ by one at most.
template <int kRows, typename F>
LOCKSTEP_HD void ForEachRowTile(const int32_t* active, int64_t count, F&& run) {
  const int64_t tiles = (count + kRows - 1) / kRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * count / tiles, end = (tile + 1) * count / tiles;
    run(active + begin, end - begin);
  }
}

/// Asks for what ForwardUnits will read and write. Rows lie far apart, so that no cache sees it coming (32 rows of 256
/// units, on an EPYC of 2023: 7 % of the op's time, and 4 % of the gradient's).
template <typename Unit>
LOCKSTEP_HD void PrefetchUnits(const RecurrentJob& job, int64_t row, int64_t time_step, const Units& units) {
  const RecurrentShape& s = job.shape;
  const int64_t sequence = row * s.time_steps + time_step;
  for (int g = 0; g < Unit::kGates; ++g) {
    __builtin_prefetch(job.gates + (sequence * Unit::kGates + g) * s.hidden + units.first, 0);
  }
  __builtin_prefetch(job.y + sequence * s.hidden + units.first, 1);
  if (job.saved == nullptr) return;
  for (int p = 0; p < Unit::kSaved; ++p) {
    __builtin_prefetch(job.saved + (sequence * Unit::kSaved + p) * s.hidden + units.first, 1);
  }
}

/// What the units of a row make of gates and products.
template <typename Unit>
LOCKSTEP_HD void ForwardUnits(const RecurrentJob& job, int64_t row, int64_t time_step, const Units& units,
                              const float* products) {
  constexpr int kGates = Unit::kGates;
  constexpr bool kLstm = kGates == 4;
  const RecurrentShape& s = job.shape;
  const int64_t sequence = row * s.time_steps + time_step;
  float x[kGates][kPanel], bias[kGates][kPanel] = {}, saved[Unit::kSaved][kPanel], hidden[kPanel];
  for (int g = 0; g < kGates; ++g) {
    units.Read(job.gates + (sequence * kGates + g) * s.hidden + units.first, x[g]);
    if (job.bias != nullptr) units.Read(job.bias + g * s.hidden + units.first, bias[g]);
  }
  const int64_t state = row * s.state_row() + units.first;
  const float* before = (kLstm ? job.cells : job.state) + state;
#pragma GCC ivdep
  for (int64_t u = 0; u < kPanel; ++u) {
    float unit_x[kGates], unit_state[kGates];
    for (int g = 0; g < kGates; ++g) {
      unit_x[g] = x[g][u];
      unit_state[g] = products[g * kPanel + u] + bias[g][u];
    }
    Unit unit;
    if constexpr (kLstm) {
      unit = kernels::LstmForward(unit_x, unit_state, before[u]);
    } else {
      unit = kernels::GruForward(unit_x, unit_state, before[u]);
    }
    for (int p = 0; p < Unit::kSaved; ++p) saved[p][u] = unit.saved[p];
    hidden[u] = unit.hidden;
  }
  __builtin_memcpy(job.next + state, hidden, sizeof hidden);
  if constexpr (kLstm) __builtin_memcpy(job.cells + state, saved[4], sizeof saved[4]);
  units.Write(hidden, job.y + sequence * s.hidden + units.first);
  if (job.saved == nullptr) return;
  for (int p = 0; p < Unit::kSaved; ++p) {
    units.Write(saved[p], job.saved + (sequence * Unit::kSaved + p) * s.hidden + units.first);
  }
}

template <typename P, typename Unit>
LOCKSTEP_HD void ForwardTile(const RecurrentJob& job, int64_t panel, int64_t time_step, const int32_t* active,
                             int64_t count) {
  constexpr int kGates = Unit::kGates;
  constexpr int64_t kColumns = kGates * kPanel;
  const RecurrentShape& s = job.shape;
  const Units units{panel * kPanel, std::min(kPanel, s.hidden - panel * kPanel)};
  alignas(64) float products[P::kStateRows * kColumns] = {};
  const float* rows[P::kStateRows] = {};
  for (int64_t i = 0; i < count; ++i) {
    rows[i] = job.state + active[i] * s.state_row();
    PrefetchUnits<Unit>(job, active[i], time_step, units);
  }
  if (job.packed != nullptr) {
    MultiplyRows<P, kGates>(count, rows, job.packed + panel * s.hidden * kColumns, s.hidden, products);
  } else {
    for (int g = 0; g < kGates; ++g) {
      for (int64_t u = 0; u < units.count; ++u) {
        const float* weight = job.plain + (g * s.hidden + units.first + u) * s.hidden;
        DotRows<P>(count, rows, weight, s.hidden, products + g * kPanel + u, kColumns);
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) ForwardUnits<Unit>(job, active[i], time_step, units, products + i * kColumns);
}

LOCKSTEP_HD void CopyStates(const float* from, int64_t from_row, float* to, int64_t to_row, int64_t begin, int64_t end,
                            int64_t size) {
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t u = 0; u < size; ++u) to[r * to_row + u] = from == nullptr ? 0.0f : from[r * from_row + u];
  }
}

LOCKSTEP_HD void FillZero(float* to, int64_t size) {
  for (int64_t i = 0; i < size; ++i) to[i] = 0.0f;
}

template <typename P, typename Unit>
void RunForward(const RecurrentJob& job, int64_t begin, int64_t end) {
  const RecurrentShape& s = job.shape;
  const int64_t row = s.state_row();
  FillZero(job.state + begin * row, (end - begin) * row);
  FillZero(job.cells + begin * row, (end - begin) * row);
  CopyStates(job.hidden, s.hidden, job.state, row, begin, end, s.hidden);
  CopyStates(job.cell, s.hidden, job.cells, row, begin, end, s.hidden);
  int32_t* active = job.active + begin;
  for (int64_t step = 0; step < s.time_steps; ++step) {
    const int64_t time_step = s.TimeStep(step), count = FindActive(s, begin, end, time_step, active);
    for (int64_t panel = 0; panel < s.panels(); ++panel) {
      ForEachRowTile<P::kStateRows>(active, count, [&](const int32_t* rows, int64_t in_tile) LOCKSTEP_INLINE {
        ForwardTile<P, Unit>(job, panel, time_step, rows, in_tile);
      });
    }
    for (int64_t i = 0; i < count; ++i) {
      __builtin_memcpy(job.state + active[i] * row, job.next + active[i] * row,
                       static_cast<size_t>(s.panels() * kPanel) * sizeof(float));
    }
  }
  for (int64_t r = begin; r < end; ++r) {
    const int64_t first = r * s.time_steps + s.Length(r), over = s.time_steps - s.Length(r);
    FillZero(job.y + first * s.hidden, over * s.hidden);
    if (job.saved != nullptr) FillZero(job.saved + first * Unit::kSaved * s.hidden, over * Unit::kSaved * s.hidden);
  }
  if (job.last_hidden != nullptr) CopyStates(job.state, row, job.last_hidden, s.hidden, begin, end, s.hidden);
  if (job.last_cell != nullptr) CopyStates(job.cells, row, job.last_cell, s.hidden, begin, end, s.hidden);
}

}  // namespace
}  // namespace lockstep::onednn
