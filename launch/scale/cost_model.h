// How the time of a step follows from the number of ranks: t(p) = compute / p + latency ceil(log2 p) + volume 2 (p - 1)
// / p + imbalance sqrt(2 ln p) / p, whose factors are fitted and are at least 0. Work that every rank does, whatever
// their number, has a term already: c is c / p + c / 2 * 2 (p - 1) / p.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "launch/scale/statistics.h"

namespace lockstep::launch {

/// A measured time of a step at a number of ranks, of one run.
struct TimedRun {
  double ranks = 1, seconds = 0;
};

/// The terms of the model; `Term` at p ranks is what its factor, in seconds, is multiplied with.
enum class CostTerm : uint8_t {
  kCompute,    ///< 1 / p: what ranks share
  kLatency,    ///< ceil(log2 p): rounds of messages
  kVolume,     ///< 2 (p - 1) / p: what a rank sends of the gradient, and what each does by itself
  kImbalance,  ///< sqrt(2 ln p) / p: how much longer the slowest of p shares takes than the mean one
};
inline constexpr int kCostTerms = 4;
const char* Name(CostTerm term);
double At(CostTerm term, double ranks);

struct CostModel {
  double seconds[kCostTerms] = {};  ///< by term

  double At(double ranks) const;
};

/// Least squares of relative errors, with factors of at least 0 (the best of all sets of terms that may be more than
/// 0). Where runs have fewer than two numbers of ranks, compute alone. REQUIRES: there are runs; seconds are above 0.
CostModel FitCost(std::span<const TimedRun> runs);

struct FittedCost {
  CostModel model = {};
  /// Of each number of ranks in turn, left out: how far the model of the others is from its median, as a share. NaN
  /// where others are fewer than two.
  std::vector<double> ranks = {}, left_out_errors = {};
  /// Models of runs drawn with replacement within each number of ranks, by a seed.
  std::vector<CostModel> resampled = {};

  /// Of a step's seconds: what nine tenths of the resampled models say, and the model's own.
  Interval At(double ranks) const;
};
FittedCost FitCostWithIntervals(std::span<const TimedRun> runs, uint64_t seed);

/// The number of ranks, up to `most`, from which on doubling them makes a step less than 1.3 times as fast; 0: none.
double Knee(const CostModel& model, double most);

/// The number of ranks among `candidates` of which the resampled models disagree most: to measure there narrows the
/// prediction at `target` ranks. 0 where there is none.
double NextPoint(const FittedCost& fitted, std::span<const double> candidates);

}  // namespace lockstep::launch
