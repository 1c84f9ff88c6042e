#include "launch/tune/halving.h"

#include <cmath>
#include <limits>

namespace lockstep::launch {
namespace {

double Comparable(double value) { return std::isfinite(value) ? value : std::numeric_limits<double>::infinity(); }

}  // namespace

std::vector<uint64_t> RungsOf(uint64_t first, int eta, uint64_t total) {
  std::vector<uint64_t> rungs;
  for (uint64_t step = first; step < total; step *= static_cast<uint64_t>(eta)) rungs.push_back(step);
  return rungs;
}

std::optional<Decision> DecideAt(const std::vector<TrialProgress>& trials, size_t trial, size_t rung, int eta) {
  if (trials[trial].rungs.size() <= rung) return std::nullopt;
  const double own = Comparable(trials[trial].rungs[rung]);
  Decision decision{.place = 1, .of = 1};
  for (size_t other = 0; other < trial; ++other) {
    if (trials[other].rungs.size() <= rung) {
      if (!trials[other].over) return std::nullopt;
      continue;
    }
    ++decision.of;
    if (Comparable(trials[other].rungs[rung]) <= own) ++decision.place;
  }
  decision.goes_on = std::isfinite(own) && decision.place <= (decision.of + eta - 1) / eta;
  return decision;
}

}  // namespace lockstep::launch
