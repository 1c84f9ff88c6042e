// Vectors for loops that sum: eight floats in GCC's vector types, which each instruction set lowers as it can (one
// register from AVX2 on). Orders of summation are written out with them, so bits are the same on every instruction set.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace lockstep::onednn {

using F8 = float __attribute__((vector_size(32)));
using I8 = int32_t __attribute__((vector_size(32)));
using U8x8 = uint8_t __attribute__((vector_size(8)));

template <typename V>
inline constexpr int64_t kWidth = sizeof(V) / sizeof(float);

template <typename V>
LOCKSTEP_HD V Load(const float* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <typename V>
LOCKSTEP_HD void Store(float* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

/// Columns side by side in registers: N vectors of type V, from one column on.
template <typename V, int N>
struct Tile {
  static constexpr int64_t kColumns = kWidth<V> * N;
  V v[N];
};

/// Covers `columns` with tiles of 32, 8 and 1 columns: run.template operator()<V, N>(first column).
template <typename F>
LOCKSTEP_HD void ForEachTile(int64_t columns, F&& run) {
  int64_t k = 0;
  for (; k + 32 <= columns; k += 32) run.template operator()<F8, 4>(k);
  for (; k + 8 <= columns; k += 8) run.template operator()<F8, 1>(k);
  for (; k < columns; ++k) run.template operator()<float, 1>(k);
}

/// Rows that are summed in float before they are added to a total in double. They stay in the first-level cache.
inline constexpr int64_t kRowBlock = 64;

/// The sum over i in [0, n) of term(i, V{}), a V of consecutive terms, in 16 interleaved partial sums that are added up
/// in a fixed tree; the last n mod 16 terms follow one by one.
template <typename F>
LOCKSTEP_HD float SumRow(int64_t n, F&& term) {
  F8 a{}, b{};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    a += term(i, F8{});
    b += term(i + 8, F8{});
  }
  a += b;
  float sum = ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
  for (; i < n; ++i) sum += term(i, 0.0f);
  return sum;
}

}  // namespace lockstep::onednn
