// Rows that are normalised by themselves (row_norm.cu and its gradients): what is kept of a row, and by which variant
// of a kernel it is done.
#pragma once

#include <cstdint>
#include <type_traits>

#include "trainer/kernels/cuda/blocks/kept_packs.h"
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda::row_norm {

/// Where the statistics of rows are kept: their means, where they are centred, and one over their deviations.
struct SavedStatistics {
  const float *means, *inverses;
};

/// A layer norm's row: its mean, and one over its standard deviation.
struct LayerStatistics {
  static constexpr bool kCentred = true;

  float mean, inverse;

  static LOCKSTEP_HD LayerStatistics Saved(const SavedStatistics& saved, int64_t row) {
    return {saved.means[row], saved.inverses[row]};
  }
  LOCKSTEP_HD float Centred(float x) const { return x - mean; }
  LOCKSTEP_HD float Normalised(float x) const { return (x - mean) * inverse; }
  LOCKSTEP_HD float Result(float x, float weight, float bias) const {
    return kernels::Normalise(x, mean, inverse, weight, bias);
  }
};

/// An RMS norm's row: one over its root mean square. The mean is not used.
struct RmsStatistics {
  static constexpr bool kCentred = false;

  float mean, inverse;

  static LOCKSTEP_HD RmsStatistics Saved(const SavedStatistics& saved, int64_t row) { return {0, saved.inverses[row]}; }
  LOCKSTEP_HD float Centred(float x) const { return x; }
  LOCKSTEP_HD float Normalised(float x) const { return x * inverse; }
  LOCKSTEP_HD float Result(float x, float weight, float /*bias*/) const { return x * inverse * weight; }
};

/// Calls run(T{}, pack, keep) with the type of activations, and constants: elements of a pack, and whether rows are
/// kept, by blocks of `threads`.
template <typename Run>
auto WithVariant(DType type, int64_t rows, int64_t size, int threads, Run&& run) {
  return WithElementType(type, [&]<typename T>(T) {
    return WithPack<T>({size}, [&]<int kPack>(std::integral_constant<int, kPack> pack) {
      if constexpr (kPack > 1) {
        if (KeepsRows<kPack>(PlanRows(rows, size, kPack, threads))) return run(T{}, pack, std::true_type{});
      }
      return run(T{}, pack, std::false_type{});
    });
  });
}

}  // namespace lockstep::cuda::row_norm
