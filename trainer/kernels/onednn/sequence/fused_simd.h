// Vectors for loops that multiply and add at full speed: fused multiply-adds in the widest registers. Unlike simd.h's,
// they are compiled for one instruction set at a time: a file includes this behind its `#pragma GCC target`, since GCC
// cuts vectors down to what a function's own target has before it inlines. Everything has internal linkage, so that no
// function compiled for one instruction set is linked into another's loops. AVX2 and AVX-512 give the same bits, since
// a fused multiply-add is exact up to one rounding everywhere and orders of summation don't depend on the width;
// machines without it round twice.
#pragma once

#include <cstdint>

#include "trainer/kernels/onednn/sequence/attention.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using F16 = float __attribute__((vector_size(64)));

// An instruction set P, as its file (attention_*.cc) defines it:
//   V                a vector of floats
//   Fma(a, b, c)     a * b + c
//   kRows, kPanels   the tile of a product that registers hold: kRows x 16 kPanels

/// A panel is kPer vectors.
template <typename P>
inline constexpr int kPer = static_cast<int>(kPanel / kWidth<typename P::V>);

LOCKSTEP_HD F8 Splat(float a, F8) { return F8{a, a, a, a, a, a, a, a}; }
LOCKSTEP_HD F16 Splat(float a, F16) { return F16{a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a}; }
template <typename V>
LOCKSTEP_HD V Splat(float a) {
  return Splat(a, V{});
}

/// 2^x for x up to 0 and a little above; 0 where that is below 2^-125. Not-a-number stays. Error below 2 ulp.
template <typename P>
LOCKSTEP_HD typename P::V Exp2(typename P::V x) {
  using V = typename P::V;
  using I = decltype(x < x);
  const V least = Splat<V>(-125.0f), round = Splat<V>(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const V shifted = x + round;
  const V r = x - (shifted - round);
  V p = Splat<V>(1.55946776e-4f);
  p = P::Fma(p, r, Splat<V>(1.340664391e-3f));
  p = P::Fma(p, r, Splat<V>(9.617692975e-3f));
  p = P::Fma(p, r, Splat<V>(5.550310551e-2f));
  p = P::Fma(p, r, Splat<V>(2.402265278e-1f));
  p = P::Fma(p, r, Splat<V>(6.93147215e-1f));
  p = P::Fma(p, r, Splat<V>(1.0f));
  const V power = __builtin_bit_cast(V, __builtin_bit_cast(I, p) + (__builtin_bit_cast(I, shifted) << 23));
  return x < least ? V{} : power;
}

LOCKSTEP_HD F8 Low(F16 v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
LOCKSTEP_HD F8 High(F16 v) { return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15); }

template <typename V>
LOCKSTEP_HD V Larger(V a, V b) {
  return a > b ? a : b;
}
LOCKSTEP_HD float Largest(F8 v) {
  v = Larger(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3));
  v = Larger(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5));
  v = Larger(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6));
  return v[0];
}
LOCKSTEP_HD float Largest(F16 v) { return Largest(Larger(Low(v), High(v))); }

/// Sixteen partial sums in a fixed tree.
LOCKSTEP_HD float Total(F8 t) { return ((t[0] + t[4]) + (t[2] + t[6])) + ((t[1] + t[5]) + (t[3] + t[7])); }
LOCKSTEP_HD float Total(const F8 (&sums)[2]) { return Total(sums[0] + sums[1]); }
LOCKSTEP_HD float Total(const F16 (&sums)[1]) { return Total(Low(sums[0]) + High(sums[0])); }

/// The left factor of a product: element (i, k) at data[i * row + k * column].
struct Left {
  const float* data;
  int64_t row, column;
};
/// The right factor, in panels of 16 columns: element (k, j) at data[j / 16 * panel + k * row + j % 16].
struct Right {
  const float* data;
  int64_t row, panel;
};

/// kRows x (16 kPanels) elements of left * right over k in [begin, end), summed in order; store(i, j, v) gets row i's
/// columns from j on.
template <typename P, int kPanels, typename F>
LOCKSTEP_HD void ProductTile(const Left& left, const Right& right, int64_t begin, int64_t end, F&& store) {
  using V = typename P::V;
  constexpr int kVectors = kPanels * kPer<P>;
  V sums[P::kRows][kVectors];
  for (int i = 0; i < P::kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) sums[i][j] = V{};
  }
  const float* a = left.data + begin * left.column;
  const float* b = right.data + begin * right.row;
  for (int64_t k = begin; k < end; ++k, a += left.column, b += right.row) {
    V columns[kVectors];
    for (int j = 0; j < kVectors; ++j) {
      columns[j] = Load<V>(b + j / kPer<P> * right.panel + j % kPer<P> * kWidth<V>);
    }
    for (int i = 0; i < P::kRows; ++i) {
      const V row = Splat<V>(a[i * left.row]);
      for (int j = 0; j < kVectors; ++j) sums[i][j] = P::Fma(row, columns[j], sums[i][j]);
    }
  }
  for (int i = 0; i < P::kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) store(i, j * kWidth<V>, sums[i][j]);
  }
}

/// kRows rows of left * right, `columns` columns (a multiple of 16): store(row, column, v).
template <typename P, typename F>
LOCKSTEP_HD void ProductRows(const Left& left, const Right& right, int64_t columns, int64_t begin, int64_t end,
                             F&& store) {
  int64_t j = 0;
  for (; j + kPanel * P::kPanels <= columns; j += kPanel * P::kPanels) {
    const Right panels{right.data + j / kPanel * right.panel, right.row, right.panel};
    ProductTile<P, P::kPanels>(left, panels, begin, end,
                               [&](int i, int64_t c, auto v) LOCKSTEP_INLINE { store(i, j + c, v); });
  }
  for (; j < columns; j += kPanel) {
    const Right panels{right.data + j / kPanel * right.panel, right.row, right.panel};
    ProductTile<P, 1>(left, panels, begin, end, [&](int i, int64_t c, auto v) LOCKSTEP_INLINE { store(i, j + c, v); });
  }
}

/// Eight rows of eight, transposed.
LOCKSTEP_HD void Transpose8(const float* from, int64_t from_row, float* to, int64_t to_row) {
  F8 r[8], s[8];
  for (int i = 0; i < 8; ++i) r[i] = Load<F8>(from + i * from_row);
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = __builtin_shufflevector(s[i], s[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    r[i + 1] = __builtin_shufflevector(s[i], s[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    r[i + 2] = __builtin_shufflevector(s[i + 1], s[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
    r[i + 3] = __builtin_shufflevector(s[i + 1], s[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int i = 0; i < 4; ++i) {
    Store(to + i * to_row, __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11));
    Store(to + (i + 4) * to_row, __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15));
  }
}

}  // namespace
}  // namespace lockstep::onednn
