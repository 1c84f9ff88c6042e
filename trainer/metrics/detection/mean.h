// The mean that NumPy makes.
#pragma once

#include <span>

namespace lockstep::metrics {

/// numpy.mean of an array of doubles that lie one behind the other: of its pairwise sums, whose order decides the last
/// bits. NaN of nothing.
double NumpyMean(std::span<const double> values);

}  // namespace lockstep::metrics
