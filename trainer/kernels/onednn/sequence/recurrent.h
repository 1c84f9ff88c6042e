// What the kernels of recurrent layers are told. Rows go through their time steps independently of one another, a few
// side by side in registers; the loops (recurrent_tiles.h, recurrent_grad_tiles.h) are compiled once per instruction
// set, in a file each.
#pragma once

#include <cstdint>

#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/sequence/attention.h"

namespace lockstep::onednn {

/// Groups of panels that the gradient's product goes by: 64 columns.
inline constexpr int64_t kGroupPanels = 4;

struct RecurrentShape {
  int64_t rows, time_steps, hidden;
  int gates, saved;  ///< parts of `hidden` channels
  bool reverse;
  const int32_t* length = nullptr;

  int64_t Length(int64_t row) const {
    return length == nullptr ? time_steps : std::clamp<int64_t>(length[row], 0, time_steps);
  }
  int64_t TimeStep(int64_t step) const { return reverse ? time_steps - 1 - step : step; }
  /// The time step before `time_step` in a row, in the order that it is gone through; -1: there is none.
  int64_t Before(int64_t row, int64_t time_step) const {
    if (!reverse) return time_step - 1;
    return time_step + 1 < Length(row) ? time_step + 1 : -1;
  }
  int64_t panels() const { return RoundUp(hidden, kPanel) / kPanel; }
  /// Between rows of states in the workspace: not a multiple of the first-level cache's sets.
  int64_t state_row() const { return RoundUp(hidden, kPanel) + kPanel; }
  int64_t product_row() const { return RoundUp(gates * hidden, kPanel) + kPanel; }
};

/// Packed for the forward product: a panel of 16 units has [hidden, gates, 16], zeros for units that are not there.
struct RecurrentJob {
  RecurrentShape shape;
  const float *gates, *plain, *packed, *bias, *hidden, *cell;  ///< packed: nullptr where the plain weight is read
  float *y, *saved, *last_hidden, *last_cell;                  ///< absent: nullptr
  // In the workspace, [rows, state_row()] each.
  float *state, *next, *cells;
  int32_t* active;  ///< [rows]
};

/// Packed for the gradient's product: a group of 64 columns has [gates * hidden, 64], the last one only as many panels
/// as there are.
struct RecurrentGradJob {
  RecurrentShape shape;
  const float *dy, *y, *saved, *packed, *hidden, *cell;
  float *dgates,
      *dproducts;  ///< [rows, time steps, gates, hidden]; of the products with the state where they differ (GRU)
  // In the workspace.
  float *dstate, *dcells;  ///< [rows, state_row()]
  float* products;         ///< [rows, product_row()]
  int32_t* active;         ///< [rows]
};

/// For one instruction set: rows [begin, end).
struct RecurrentKernels {
  void (*lstm)(const RecurrentJob& job, int64_t begin, int64_t end);
  void (*gru)(const RecurrentJob& job, int64_t begin, int64_t end);
  void (*lstm_grad)(const RecurrentGradJob& job, int64_t begin, int64_t end);
  void (*gru_grad)(const RecurrentGradJob& job, int64_t begin, int64_t end);
};
extern const RecurrentKernels kRecurrentGeneric;
#ifdef LOCKSTEP_FUSED_X86
extern const RecurrentKernels kRecurrentAvx2, kRecurrentAvx512;
#endif

}  // namespace lockstep::onednn
