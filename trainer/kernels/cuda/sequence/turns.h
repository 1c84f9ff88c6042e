// Tables of angles of positions, made anew in each run by a small kernel: they are the CPU's to the bit
// (trainer/kernels/positions.h), and what reads them needs no double precision, which most GPUs have little of.
#pragma once

#include <cstdint>

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/positions.h"

namespace lockstep::cuda {

/// Which position of its sequence a token stands at.
struct Positions {
  const int32_t* first = nullptr;  ///< by row: its first position; absent: nullptr
  int64_t most = 0;                ///< positions that there are, where `first` is given

  /// `token` of rows of `positions`.
  LOCKSTEP_HD int64_t Of(int64_t token, int64_t positions) const {
    const Quotient at = Divide(token, positions);
    if (first == nullptr) return at.remainder;
    const int64_t position = first[at.quotient] + at.remainder;
    return position < most ? position : most - 1;
  }
};

/// Cosines of all positions [positions, half], then sines (those of -angle where `inverse`).
struct TurnTable {
  static constexpr int kThreads = 128;

  float* table;
  int64_t positions, half;
  double base;
  bool inverse;

  int64_t size() const { return positions * half; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = block.index() * kThreads + t;
      if (at >= positions * half) return;
      const Quotient position = Divide(at, half);
      const kernels::Turn turn = kernels::TurnBy(static_cast<double>(position.quotient) *
                                                 kernels::Frequency(base, position.remainder, 2 * half));
      table[at] = static_cast<float>(turn.cosine);
      table[positions * half + at] = static_cast<float>(inverse ? -turn.sine : turn.sine);
    });
  }
};

/// What sinusoidal positions add: [positions, channels].
struct SinusoidTable {
  static constexpr int kThreads = 128;

  float* table;
  int64_t positions, channels;

  int64_t size() const { return positions * channels; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = block.index() * kThreads + t;
      if (at >= positions * channels) return;
      const Quotient position = Divide(at, channels);
      table[at] = static_cast<float>(kernels::Sinusoid(position.quotient, position.remainder, channels));
    });
  }
};

template <typename Table>
void LaunchTable(DeviceStream& stream, const Table& table) {
  Launch(stream, BlocksFor(table.size(), Table::kThreads, 1), table);
}

}  // namespace lockstep::cuda
