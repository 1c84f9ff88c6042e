#include "trainer/kernels/onednn/column_sums.h"

#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {

LOCKSTEP_ISA_CLONES
void ColumnSums(const float* x, int64_t rows, int64_t columns, double* totals, float* sums) {
  std::fill(totals, totals + columns, 0.0);
  for (int64_t begin = 0; begin < rows; begin += kRowBlock) {
    const int64_t end = std::min(begin + kRowBlock, rows);
    ForEachTile(columns, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> sum{};
      for (int64_t r = begin; r < end; ++r) {
        for (int i = 0; i < N; ++i) sum.v[i] += Load<V>(x + r * columns + k + i * kWidth<V>);
      }
      float lanes[Tile<V, N>::kColumns];
      __builtin_memcpy(lanes, &sum, sizeof lanes);
      for (int64_t j = 0; j < Tile<V, N>::kColumns; ++j) totals[k + j] += static_cast<double>(lanes[j]);
    });
  }
  for (int64_t k = 0; k < columns; ++k) sums[k] = static_cast<float>(totals[k]);
}

}  // namespace lockstep::onednn
