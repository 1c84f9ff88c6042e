// Which trials go on: successive halving without waiting for rounds (ASHA; Li et al. 2020), in a form that does not
// depend on who is faster. At each rung, a step at which trials are evaluated, a trial goes on when it is among the
// best 1 / eta of itself and all trials of lower numbers that got there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::launch {

/// What is known of a trial: values by rung as far as it got, smaller ones better.
struct TrialProgress {
  std::vector<double> rungs = {};
  bool over = false;  ///< done, stopped or failed: it gets to no further rung
};

/// Steps of the rungs: first, first * eta, ... below `total`.
std::vector<uint64_t> RungsOf(uint64_t first, int eta, uint64_t total);

struct Decision {
  bool goes_on = true;
  int place = 0, of = 0;  ///< among those that got there, from 1
};
/// Of trial `trial` at rung `rung`. Nothing as long as its value, or what trials of lower numbers come to there, is not
/// known. A value that is not a number is worse than all.
std::optional<Decision> DecideAt(const std::vector<TrialProgress>& trials, size_t trial, size_t rung, int eta);

}  // namespace lockstep::launch
