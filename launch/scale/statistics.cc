#include "launch/scale/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/philox.h"

namespace lockstep::launch {
namespace {

std::vector<double> Sorted(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

double MedianOfSorted(const std::vector<double>& sorted) {
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/// The probability that a binomial count of n fair trials is below k.
double BinomialBelow(size_t n, size_t k) {
  double term = std::pow(0.5, static_cast<double>(n)), sum = 0;
  for (size_t i = 0; i < k; ++i) {
    sum += term;
    term *= static_cast<double>(n - i) / static_cast<double>(i + 1);
  }
  return sum;
}

/// How many ways there are to have each number of pairs (x of n, y of m) with x > y, by number: the null distribution
/// of Mann and Whitney (1947).
std::vector<double> MannWhitneyCounts(size_t n, size_t m) {
  // counts[i] of j values of the second set, as i values of the first come one by one.
  std::vector<std::vector<double>> counts(m + 1, std::vector<double>(n * m + 1));
  for (std::vector<double>& row : counts) row[0] = 1;
  for (size_t i = 1; i <= n; ++i) {
    std::vector<std::vector<double>> next(m + 1, std::vector<double>(n * m + 1));
    next[0][0] = 1;
    // The largest of all is of the first set, and above all j of the second; or it is of the second.
    for (size_t j = 1; j <= m; ++j)
      for (size_t u = 0; u <= i * j; ++u) next[j][u] = (u >= j ? counts[j][u - j] : 0) + next[j - 1][u];
    counts = std::move(next);
  }
  return counts[m];
}

double MeanLogDifference(const std::vector<double>& logs, const std::vector<size_t>& first) {
  const double all = std::accumulate(logs.begin(), logs.end(), 0.0);
  double sum = 0;
  for (const size_t i : first) sum += logs[i];
  return sum / static_cast<double>(first.size()) - (all - sum) / static_cast<double>(logs.size() - first.size());
}

/// Goes on to the next subset of {0, .., n - 1} in lexicographic order; false behind the last.
bool NextSubset(std::vector<size_t>& subset, size_t n) {
  for (size_t i = subset.size(); i-- > 0;) {
    if (subset[i] == n - subset.size() + i) continue;
    ++subset[i];
    for (size_t j = i + 1; j < subset.size(); ++j) subset[j] = subset[j - 1] + 1;
    return true;
  }
  return false;
}

}  // namespace

double Median(std::span<const double> values) {
  CHECK(!values.empty());
  return MedianOfSorted(Sorted(values));
}

Interval MedianInterval(std::span<const double> values, double wanted) {
  CHECK(!values.empty());
  const std::vector<double> sorted = Sorted(values);
  const size_t n = sorted.size();
  // Between the r-th smallest and the r-th largest.
  size_t rank = 1;
  while (2 * (rank + 1) <= n && 1 - 2 * BinomialBelow(n, rank + 1) >= wanted) ++rank;
  return {sorted[rank - 1], sorted[n - rank], n == 1 ? 0 : 1 - 2 * BinomialBelow(n, rank)};
}

Ratio RatioOf(std::span<const double> a, std::span<const double> b, double wanted) {
  CHECK(!a.empty() && !b.empty());
  std::vector<double> ratios;
  for (const double x : a)
    for (const double y : b) ratios.push_back(x / y);
  std::sort(ratios.begin(), ratios.end());
  const std::vector<double> counts = MannWhitneyCounts(a.size(), b.size());
  const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
  // The interval leaves out `rank` ratios at either end; a true ratio is below the k-th with the probability of fewer
  // than k such pairs.
  size_t rank = 0;
  double outside = counts[0] / all;
  while (2 * (rank + 2) <= ratios.size() && 1 - 2 * (outside + counts[rank + 1] / all) >= wanted)
    outside += counts[++rank] / all;
  return {MedianOfSorted(ratios), {ratios[rank], ratios[ratios.size() - 1 - rank], std::max(0.0, 1 - 2 * outside)}};
}

double PermutationTest(std::span<const double> a, std::span<const double> b, uint64_t seed) {
  CHECK(!a.empty() && !b.empty());
  constexpr double kMostDeals = 200000;
  std::vector<double> logs;
  for (const std::span<const double> values : {a, b})
    for (const double value : values) logs.push_back(std::log(value));
  std::vector<size_t> first(a.size());
  std::iota(first.begin(), first.end(), size_t{0});
  const double slack = 1 - 1e-12, found = std::abs(MeanLogDifference(logs, first)) * slack;
  double deals = 1;
  for (size_t i = 0; i < a.size(); ++i) deals *= static_cast<double>(logs.size() - i) / static_cast<double>(i + 1);
  if (deals <= kMostDeals) {
    double as_far = 0, count = 0;
    do {
      ++count;
      as_far += std::abs(MeanLogDifference(logs, first)) >= found ? 1 : 0;
    } while (NextSubset(first, logs.size()));
    return as_far / count;
  }
  double as_far = 1;  // the deal that was found
  std::vector<size_t> order(logs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (uint64_t deal = 0; deal < static_cast<uint64_t>(kMostDeals); ++deal) {
    const RandomStream stream{seed, 0, 0, deal};
    for (size_t i = 0; i < a.size(); ++i) {
      const uint64_t span = order.size() - i, place = stream.Bits(static_cast<uint32_t>(i)) * span >> 32;
      std::swap(order[i], order[i + static_cast<size_t>(place)]);
    }
    std::copy_n(order.begin(), first.size(), first.begin());
    as_far += std::abs(MeanLogDifference(logs, first)) >= found ? 1 : 0;
  }
  return as_far / (kMostDeals + 1);
}

std::vector<double> HolmCorrected(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return p[i] < p[j]; });
  std::vector<double> corrected(p.size());
  double least = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    least = std::max(least, std::min(1.0, p[order[k]] * static_cast<double>(order.size() - k)));
    corrected[order[k]] = least;
  }
  return corrected;
}

}  // namespace lockstep::launch
