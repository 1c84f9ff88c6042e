// What LSTM and GRU do at one unit and time step, and what flows back: written once for all backends, which compute the
// products between them. `x`, `state`: the gates' parts from x, and from the state (bias included).
#pragma once

#include "base/host_device.h"
#include "trainer/kernels/math.h"

namespace lockstep::kernels {

struct LstmUnit {
  static constexpr int kGates = 4, kSaved = 5;
  float saved[kSaved];  ///< i, f, g, o behind their activations, and the cell
  float hidden;
};
LOCKSTEP_HD LstmUnit LstmForward(const float (&x)[4], const float (&state)[4], float cell) {
  const float i = Sigmoid(x[0] + state[0]), f = Sigmoid(x[1] + state[1]);
  const float g = Tanh(x[2] + state[2]), o = Sigmoid(x[3] + state[3]);
  cell = f * cell + i * g;
  return {{i, f, g, o, cell}, o * Tanh(cell)};
}

struct LstmUnitGradient {
  float gates[4];
  float cell;  ///< of the cell before
};
/// dhidden, dcell: of the states behind this time step; `before`: the cell before it.
LOCKSTEP_HD LstmUnitGradient LstmBackward(float dhidden, float dcell, const float (&saved)[5], float before) {
  const float i = saved[0], f = saved[1], g = saved[2], o = saved[3], t = Tanh(saved[4]);
  const float dc = dcell + dhidden * o * ((1.0f - t) * (1.0f + t));
  return {{dc * g * (i * (1.0f - i)), dc * before * (f * (1.0f - f)), dc * i * ((1.0f - g) * (1.0f + g)),
           dhidden * t * (o * (1.0f - o))},
          dc * f};
}

struct GruUnit {
  static constexpr int kGates = 3, kSaved = 4;
  float saved[kSaved];  ///< r, z, n behind their activations, and the state's part of n
  float hidden;
};
LOCKSTEP_HD GruUnit GruForward(const float (&x)[3], const float (&state)[3], float hidden) {
  const float r = Sigmoid(x[0] + state[0]), z = Sigmoid(x[1] + state[1]);
  const float n = Tanh(x[2] + r * state[2]);
  return {{r, z, n, state[2]}, (1.0f - z) * n + z * hidden};
}

struct GruUnitGradient {
  float gates[3];
  float state[3];  ///< of the state's parts
  float hidden;    ///< of the state before, besides what comes through the product
};
LOCKSTEP_HD GruUnitGradient GruBackward(float dhidden, const float (&saved)[4], float before) {
  const float r = saved[0], z = saved[1], n = saved[2], q = saved[3];
  const float dn = dhidden * (1.0f - z) * ((1.0f - n) * (1.0f + n));
  const float dz = dhidden * (before - n) * (z * (1.0f - z)), dr = dn * q * (r * (1.0f - r));
  return {{dr, dz, dn}, {dr, dz, dn * r}, dhidden * z};
}

}  // namespace lockstep::kernels
