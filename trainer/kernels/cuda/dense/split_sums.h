// How much of a card a bf16 product keeps busy, whether cutting its sums into parts makes that better, and so where the
// gradient of a bias comes from. A model of shapes and of the card's number of processors, never a timing: what a run
// does, and what an estimate of it says, follow from it alike.
//
// A weight's gradient has few results, each a sum over all samples (k). Its tiles come in waves of one a processor. Cut
// into parts, a sum is several tiles, which lie in the workspace in float until they are added in their order
// (cublaslt.h). The library cuts no sum beside which it also sums a bias's gradient (BGRADB).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::cuda {

/// What a card computes while its memory moves a byte: 150 to 230 operations from the A100 to the B200, of products and
/// memory as kernels attain them.
inline constexpr double kOperationsPerByte = 180;
/// What one of its processors computes between the end of a kernel and the next one's work: 1.25 us of 4.7e12.
inline constexpr double kOperationsPerLaunch = 6e6;

/// The size of tiles, and their speed beside the fastest: small ones keep more of a card busy and load more for each
/// result. The library has more shapes than these; which one it takes it doesn't say.
struct TileShape {
  double height, width, speed;
};
inline constexpr TileShape kTileShapes[] = {{128, 128, 1}, {128, 64, 0.85}, {64, 64, 0.65}};

/// The share of its speed that a card of `processors` attains for m x n results whose sums are in `parts`.
inline double AttainedShare(double m, double n, double parts, double processors) {
  double best = 0;
  for (const TileShape& tile : kTileShapes) {
    const double tiles = parts * std::ceil(m / tile.height) * std::ceil(n / tile.width);
    best = std::max(best, tile.speed * tiles / (std::ceil(tiles / processors) * processors));
  }
  return best;
}

/// Operations that the whole card would do while it computes an m x n product of sums over k: as whole sums.
inline double WholeSumsCost(double m, double n, double k, double processors) {
  return 2 * m * n * k / AttainedShare(m, n, 1, processors);
}

/// The same with sums in as many parts as is best, within the workspace. Parts are written and read.
inline double SplitSumsCost(double m, double n, double k, double processors) {
  constexpr double kMostParts = 16, kPartBytes = sizeof(float);
  double best = WholeSumsCost(m, n, k, processors);
  for (double parts = 2; parts <= kMostParts; ++parts) {
    const double bytes = parts * m * n * kPartBytes;
    if (bytes > static_cast<double>(kMatmulWorkspaceLimit)) break;
    best = std::min(best, 2 * m * n * k / AttainedShare(m, n, parts, processors) + 2 * bytes * kOperationsPerByte +
                              kOperationsPerLaunch * processors);
  }
  return best;
}

/// Whether the gradients of a weight [m, n] and of its bias, of dy [k, m] in bf16, are had sooner apart: the product
/// with its sums in parts, and dy read once more for the bias's. It must gain a tenth of the product: the model's tiles
/// are not all that there are. False on a card of no processors.
inline bool SumsBiasGradientApart(int64_t m, int64_t n, int64_t k, int processors) {
  if (processors <= 0) return false;
  const auto rows = static_cast<double>(m), columns = static_cast<double>(n), length = static_cast<double>(k),
             card = static_cast<double>(processors);
  constexpr double kBytes = 2, kLaunches = 2, kLeastGain = 0.1;
  const double together = WholeSumsCost(rows, columns, length, card);
  const double apart = SplitSumsCost(rows, columns, length, card) + kBytes * length * rows * kOperationsPerByte +
                       kLaunches * kOperationsPerLaunch * card;
  return together - apart > kLeastGain * together;
}

}  // namespace lockstep::cuda
