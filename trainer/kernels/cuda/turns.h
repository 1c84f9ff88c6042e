// Tables of angles of places, made anew in each run by a small kernel: they are the CPU's to the bit
// (trainer/kernels/positions.h), and what reads them needs no double precision, which most GPUs have little of.
#pragma once

#include <cstdint>

#include "trainer/kernels/cuda/launch.h"
#include "trainer/kernels/cuda/packs.h"
#include "trainer/kernels/positions.h"

namespace lockstep::cuda {

/// Which place of its sequence a token stands at.
struct Places {
  const int32_t* first = nullptr;  ///< by row: its first place; absent: nullptr
  int64_t most = 0;                ///< places that there are, where `first` is given

  /// `token` of rows of `places`.
  LOCKSTEP_HD int64_t Of(int64_t token, int64_t places) const {
    const Quotient at = Divide(token, places);
    if (first == nullptr) return at.remainder;
    const int64_t place = first[at.quotient] + at.remainder;
    return place < most ? place : most - 1;
  }
};

/// Cosines of all places [places, half], then sines (those of -angle where `inverse`).
struct TurnTable {
  static constexpr int kThreads = 128;

  float* table;
  int64_t places, half;
  double base;
  bool inverse;

  int64_t size() const { return places * half; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = block.index() * kThreads + t;
      if (at >= places * half) return;
      const Quotient place = Divide(at, half);
      const kernels::Turn turn =
          kernels::TurnBy(static_cast<double>(place.quotient) * kernels::Frequency(base, place.remainder, 2 * half));
      table[at] = static_cast<float>(turn.cosine);
      table[places * half + at] = static_cast<float>(inverse ? -turn.sine : turn.sine);
    });
  }
};

/// What sinusoidal positions add: [places, channels].
struct SinusoidTable {
  static constexpr int kThreads = 128;

  float* table;
  int64_t places, channels;

  int64_t size() const { return places * channels; }
  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = block.index() * kThreads + t;
      if (at >= places * channels) return;
      const Quotient place = Divide(at, channels);
      table[at] = static_cast<float>(kernels::Sinusoid(place.quotient, place.remainder, channels));
    });
  }
};

template <typename Table>
void LaunchTable(DeviceStream& stream, const Table& table) {
  Launch(stream, BlocksFor(table.size(), Table::kThreads, 1), table);
}

}  // namespace lockstep::cuda
