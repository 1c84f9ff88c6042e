// LSTM and GRU backward, from the last time step gone through to the first: the units' own arithmetic, and the product
// of what it gives with the weight, which the time step before receives.
#pragma once

#include "trainer/kernels/onednn/sequence/recurrent_tiles.h"

namespace lockstep::onednn {
namespace {

/// Asks for what BackwardUnits will read and write.
template <typename Unit>
LOCKSTEP_HD void PrefetchBackwardUnits(const RecurrentGradJob& job, int64_t row, int64_t time_step, int64_t unit) {
  const RecurrentShape& s = job.shape;
  const int64_t sequence = row * s.time_steps + time_step;
  __builtin_prefetch(job.dy + sequence * s.hidden + unit, 0);
  for (int p = 0; p < Unit::kSaved; ++p) {
    __builtin_prefetch(job.saved + (sequence * Unit::kSaved + p) * s.hidden + unit, 0);
  }
  for (int g = 0; g < Unit::kGates; ++g) {
    __builtin_prefetch(job.dgates + (sequence * Unit::kGates + g) * s.hidden + unit, 1);
  }
}

/// The cells of an LSTM, or the states of a GRU, before `time_step`: zeros where nothing came before it.
template <typename Unit>
LOCKSTEP_HD void ReadBefore(const RecurrentGradJob& job, int64_t row, int64_t time_step, const Units& units,
                            float (&before)[kPanel]) {
  constexpr bool kLstm = Unit::kGates == 4;
  const RecurrentShape& s = job.shape;
  const int64_t before_time_step = s.Before(row, time_step), sequence = row * s.time_steps + before_time_step;
  const float* first = kLstm ? job.cell : job.hidden;
  if (before_time_step >= 0) {
    units.Read(kLstm ? job.saved + (sequence * Unit::kSaved + 4) * s.hidden + units.first
                     : job.y + sequence * s.hidden + units.first,
               before);
  } else if (first != nullptr) {
    units.Read(first + row * s.hidden + units.first, before);
  }
}

/// What flows back through the units of a row, from dy and what came from the time step behind.
template <typename Unit>
LOCKSTEP_HD void BackwardUnits(const RecurrentGradJob& job, int64_t row, int64_t time_step, const Units& units) {
  constexpr int kGates = Unit::kGates;
  constexpr bool kLstm = kGates == 4;
  const RecurrentShape& s = job.shape;
  const int64_t sequence = row * s.time_steps + time_step;
  float dy[kPanel], saved[Unit::kSaved][kPanel], before[kPanel] = {}, gates[kGates][kPanel], products[kGates][kPanel];
  units.Read(job.dy + sequence * s.hidden + units.first, dy);
  for (int p = 0; p < Unit::kSaved; ++p) {
    units.Read(job.saved + (sequence * Unit::kSaved + p) * s.hidden + units.first, saved[p]);
  }
  ReadBefore<Unit>(job, row, time_step, units, before);
  float* dstate = job.dstate + row * s.state_row() + units.first;
  float* dcells = job.dcells + row * s.state_row() + units.first;
#pragma GCC ivdep
  for (int64_t u = 0; u < kPanel; ++u) {
    float kept[Unit::kSaved];
    for (int p = 0; p < Unit::kSaved; ++p) kept[p] = saved[p][u];
    const float dhidden = dy[u] + dstate[u];
    if constexpr (kLstm) {
      const kernels::LstmUnitGradient gradient = kernels::LstmBackward(dhidden, dcells[u], kept, before[u]);
      for (int g = 0; g < kGates; ++g) gates[g][u] = gradient.gates[g];
      dcells[u] = gradient.cell;
    } else {
      const kernels::GruUnitGradient gradient = kernels::GruBackward(dhidden, kept, before[u]);
      for (int g = 0; g < kGates; ++g) {
        gates[g][u] = gradient.gates[g];
        products[g][u] = gradient.state[g];
      }
      dstate[u] = gradient.hidden;
    }
  }
  for (int g = 0; g < kGates; ++g) {
    const int64_t at = (sequence * kGates + g) * s.hidden + units.first;
    const float* product = kLstm ? gates[g] : products[g];
    units.Write(gates[g], job.dgates + at);
    if constexpr (!kLstm) units.Write(product, job.dproducts + at);
    units.Write(product, job.products + row * s.product_row() + g * s.hidden + units.first);
  }
}

/// dstate of 16 kPanels columns from `column` on = products weight, added to what is there already for a GRU.
template <typename P, int kPanels, bool kAdd>
LOCKSTEP_HD void StateGradientTile(const RecurrentGradJob& job, int64_t column, const int32_t* active, int64_t count) {
  constexpr int64_t kColumns = kPanels * kPanel;
  const RecurrentShape& s = job.shape;
  alignas(64) float sums[P::kStateRows * kColumns];
  const float* rows[P::kStateRows] = {};
  for (int64_t i = 0; i < count; ++i) rows[i] = job.products + active[i] * s.product_row();
  MultiplyRows<P, kPanels>(count, rows, job.packed + column * s.gates * s.hidden, s.gates * s.hidden, sums);
  for (int64_t i = 0; i < count; ++i) {
    float* to = job.dstate + active[i] * s.state_row() + column;
    const float* from = sums + i * kColumns;
    for (int64_t u = 0; u < kColumns; ++u) to[u] = kAdd ? to[u] + from[u] : from[u];
  }
}

template <typename P, bool kAdd, int kPanels = kGroupPanels>
LOCKSTEP_HD void StateGradientGroup(const RecurrentGradJob& job, int64_t column, int64_t panels, const int32_t* active,
                                    int64_t count) {
  if (panels == kPanels) {
    ForEachRowTile<P::kStateRows>(active, count, [&](const int32_t* rows, int64_t in_tile) LOCKSTEP_INLINE {
      StateGradientTile<P, kPanels, kAdd>(job, column, rows, in_tile);
    });
    return;
  }
  if constexpr (kPanels > 1) StateGradientGroup<P, kAdd, kPanels - 1>(job, column, panels, active, count);
}

template <typename P, typename Unit>
void RunBackward(const RecurrentGradJob& job, int64_t begin, int64_t end) {
  constexpr bool kAdd = Unit::kGates == 3;
  const RecurrentShape& s = job.shape;
  const int64_t row = s.state_row(), parts = s.gates * s.hidden;
  FillZero(job.dstate + begin * row, (end - begin) * row);
  FillZero(job.dcells + begin * row, (end - begin) * row);
  int32_t* active = job.active + begin;
  for (int64_t step = s.time_steps; step-- > 0;) {
    const int64_t time_step = s.TimeStep(step), count = FindActive(s, begin, end, time_step, active);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t panel = 0; panel < s.panels(); ++panel) {
        if (i + 1 < count) PrefetchBackwardUnits<Unit>(job, active[i + 1], time_step, panel * kPanel);
        BackwardUnits<Unit>(job, active[i], time_step, {panel * kPanel, std::min(kPanel, s.hidden - panel * kPanel)});
      }
    }
    if (step == 0) break;  // nobody asks for the gradient of the states before
    for (int64_t panel = 0; panel < s.panels(); panel += kGroupPanels) {
      StateGradientGroup<P, kAdd>(job, panel * kPanel, std::min(kGroupPanels, s.panels() - panel), active, count);
    }
  }
  for (int64_t r = begin; r < end; ++r) {
    const int64_t first = (r * s.time_steps + s.Length(r)) * parts, over = (s.time_steps - s.Length(r)) * parts;
    FillZero(job.dgates + first, over);
    if constexpr (kAdd) FillZero(job.dproducts + first, over);
  }
}

}  // namespace
}  // namespace lockstep::onednn
