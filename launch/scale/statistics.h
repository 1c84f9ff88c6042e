// What repeated runs say: intervals between runs that assume no distribution, and differences that are more than noise.
// Everything is a pure function of the values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::launch {

/// An interval that covers the true value in at least `coverage` of all studies, 0 to 1; of fewer values than it takes
/// that is as much as they can say.
struct Interval {
  double low = 0, high = 0, coverage = 0;

  bool Holds(double value) const { return low <= value && value <= high; }
};

/// REQUIRES: there are values.
double Median(std::span<const double> values);

/// Of the median: between two order statistics, whose coverage is binomial (Hahn and Meeker 1991, section 5.2), the
/// narrowest symmetric one with at least `wanted`. Of five values the smallest and the largest cover 93.75 %.
/// REQUIRES: there are values.
Interval MedianInterval(std::span<const double> values, double wanted);

/// Of the ratio a / b of two sets of positive values that differ by a factor: the order statistics of all pairwise
/// ratios that the Mann-Whitney test accepts (Hodges and Lehmann 1963). The estimate is their median.
struct Ratio {
  double estimate = 1;
  Interval interval = {};
};
Ratio RatioOf(std::span<const double> a, std::span<const double> b, double wanted);

/// The two-sided p of "a and b are of one distribution": the share of all ways to deal the values into two sets of
/// these sizes in which the means of the logarithms differ by at least as much (Fisher 1935). All of them where they
/// are at most 200,000, else as many drawn by `seed`. Values are above 0.
double PermutationTest(std::span<const double> a, std::span<const double> b, uint64_t seed);

/// p values corrected for their number, in their order (Holm 1979).
std::vector<double> HolmCorrected(std::span<const double> p);

}  // namespace lockstep::launch
