// The weights of classes that make each count alike.
#pragma once

#include <cstdint>
#include <vector>

#include "data/data.pb.h"
#include "data/dataset.h"

namespace lockstep::data {

/// Samples by class, of the first `most` samples; empty where some have none of these classes.
std::vector<uint64_t> CountClasses(const Dataset& dataset, size_t classes, uint64_t most);

/// samples / (classes * samples of the class), as scikit-learn's "balanced"; 0 for classes without samples, which
/// `classes` leaves out.
std::vector<double> BalancedWeights(const std::vector<uint64_t>& counts);

/// Writes what `balanced` stands for into values, and checks their number. Throws Error(kUsage).
void SettleClassWeights(const Dataset& train, ClassWeights& config);

}  // namespace lockstep::data
