#include "launch/scale/cost_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/philox.h"

namespace lockstep::launch {
namespace {

constexpr double kFasterByDoubling = 1.3, kWanted = 0.9;

/// Solves the normal equations of these terms by elimination with pivots; false where they are singular.
bool Solve(const std::vector<TimedRun>& runs, const std::vector<CostTerm>& terms, std::vector<double>& factors) {
  const size_t n = terms.size();
  std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1));
  for (const TimedRun& run : runs)
    for (size_t i = 0; i < n; ++i) {
      const double x = At(terms[i], run.ranks) / run.seconds;
      for (size_t j = 0; j < n; ++j) rows[i][j] += x * At(terms[j], run.ranks) / run.seconds;
      rows[i][n] += x;
    }
  // Columns of different sizes are made alike, so that one tolerance tells what is singular.
  std::vector<double> size(n);
  for (size_t i = 0; i < n; ++i) {
    size[i] = std::sqrt(rows[i][i]);
    if (!(size[i] > 0)) return false;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) rows[i][j] /= size[i] * size[j];
    rows[i][n] /= size[i];
  }
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i)
      if (std::abs(rows[i][k]) > std::abs(rows[pivot][k])) pivot = i;
    if (std::abs(rows[pivot][k]) < 1e-10) return false;
    std::swap(rows[k], rows[pivot]);
    for (size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double by = rows[i][k] / rows[k][k];
      for (size_t j = k; j <= n; ++j) rows[i][j] -= by * rows[k][j];
    }
  }
  factors.resize(n);
  for (size_t i = 0; i < n; ++i) factors[i] = rows[i][n] / rows[i][i] / size[i];
  return true;
}

double SquaredErrors(const std::vector<TimedRun>& runs, const CostModel& model) {
  double sum = 0;
  for (const TimedRun& run : runs) {
    const double error = model.At(run.ranks) / run.seconds - 1;
    sum += error * error;
  }
  return sum;
}

std::map<double, std::vector<double>> ByRanks(std::span<const TimedRun> runs) {
  std::map<double, std::vector<double>> by_ranks;
  for (const TimedRun& run : runs) by_ranks[run.ranks].push_back(run.seconds);
  return by_ranks;
}

std::vector<TimedRun> Resample(const std::map<double, std::vector<double>>& by_ranks, const RandomStream& stream) {
  std::vector<TimedRun> drawn;
  uint32_t element = 0;
  for (const auto& [ranks, seconds] : by_ranks)
    for (size_t i = 0; i < seconds.size(); ++i)
      drawn.push_back({ranks, seconds[static_cast<size_t>(uint64_t{stream.Bits(element++)} * seconds.size() >> 32)]});
  return drawn;
}

std::vector<double> LeaveOneOut(const std::map<double, std::vector<double>>& by_ranks) {
  std::vector<double> errors;
  for (const auto& [left_out, seconds] : by_ranks) {
    std::vector<TimedRun> others;
    for (const auto& [ranks, values] : by_ranks)
      for (const double value : values)
        if (ranks != left_out) others.push_back({ranks, value});
    const bool enough = by_ranks.size() > 2;
    errors.push_back(enough ? FitCost(others).At(left_out) / Median(seconds) - 1
                            : std::numeric_limits<double>::quiet_NaN());
  }
  return errors;
}

}  // namespace

const char* Name(CostTerm term) {
  constexpr const char* kNames[] = {"compute", "latency", "volume", "imbalance"};
  return kNames[static_cast<int>(term)];
}

double At(CostTerm term, double ranks) {
  switch (term) {
    case CostTerm::kCompute:
      return 1 / ranks;
    case CostTerm::kLatency:
      return std::ceil(std::log2(ranks));
    case CostTerm::kVolume:
      return 2 * (ranks - 1) / ranks;
    case CostTerm::kImbalance:
      return std::sqrt(2 * std::log(ranks)) / ranks;
  }
  return 0;
}

double CostModel::At(double ranks) const {
  double sum = 0;
  for (int term = 0; term < kCostTerms; ++term) sum += seconds[term] * launch::At(static_cast<CostTerm>(term), ranks);
  return sum;
}

CostModel FitCost(std::span<const TimedRun> given) {
  CHECK(!given.empty());
  const std::vector<TimedRun> runs(given.begin(), given.end());
  const size_t points = ByRanks(given).size();
  CostModel best;
  double least = std::numeric_limits<double>::infinity();
  // Fewer terms first: more of them must be better by more than rounding. Compute is always one.
  for (size_t size = 1; size <= std::min<size_t>(kCostTerms, points); ++size) {
    for (uint32_t set = 1; set < 1u << kCostTerms; set += 2) {
      std::vector<CostTerm> terms;
      for (int term = 0; term < kCostTerms; ++term)
        if ((set >> term & 1) != 0) terms.push_back(static_cast<CostTerm>(term));
      std::vector<double> factors;
      if (terms.size() != size || !Solve(runs, terms, factors)) continue;
      if (std::any_of(factors.begin(), factors.end(), [](double factor) { return factor < 0; })) continue;
      CostModel model;
      for (size_t i = 0; i < terms.size(); ++i) model.seconds[static_cast<int>(terms[i])] = factors[i];
      const double errors = SquaredErrors(runs, model);
      if (errors >= least * (1 - 1e-9)) continue;
      least = errors;
      best = model;
    }
  }
  return best;
}

Interval FittedCost::At(double ranks_asked) const {
  std::vector<double> seconds;
  for (const CostModel& drawn : resampled) seconds.push_back(drawn.At(ranks_asked));
  if (seconds.empty()) return {model.At(ranks_asked), model.At(ranks_asked), 0};
  std::sort(seconds.begin(), seconds.end());
  const auto out = static_cast<size_t>(static_cast<double>(seconds.size()) * (1 - kWanted) / 2);
  return {std::min(seconds[out], model.At(ranks_asked)),
          std::max(seconds[seconds.size() - 1 - out], model.At(ranks_asked)), kWanted};
}

FittedCost FitCostWithIntervals(std::span<const TimedRun> runs, uint64_t seed) {
  constexpr uint64_t kModels = 200;
  const std::map<double, std::vector<double>> by_ranks = ByRanks(runs);
  FittedCost fitted{.model = FitCost(runs)};
  for (const auto& [ranks, seconds] : by_ranks) fitted.ranks.push_back(ranks);
  fitted.left_out_errors = LeaveOneOut(by_ranks);
  for (uint64_t i = 0; i < kModels; ++i) fitted.resampled.push_back(FitCost(Resample(by_ranks, {seed, 0, 0, i})));
  return fitted;
}

double Knee(const CostModel& model, double most) {
  for (double ranks = 1; ranks <= most; ranks *= 2)
    if (model.At(ranks) < kFasterByDoubling * model.At(2 * ranks)) return ranks;
  return 0;
}

double NextPoint(const FittedCost& fitted, std::span<const double> candidates) {
  double best = 0, widest = 0;
  for (const double ranks : candidates) {
    const Interval interval = fitted.At(ranks);
    const double width = (interval.high - interval.low) / fitted.model.At(ranks);
    if (width > widest) best = ranks, widest = width;
  }
  return best;
}

}  // namespace lockstep::launch
