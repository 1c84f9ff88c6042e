// Batches of ragged samples (batches.h): of a number of samples, or of tokens.
#pragma once

#include <memory>
#include <span>

#include "data/batches.h"

namespace lockstep::data {

std::unique_ptr<Batches> MakePooledBatches(std::shared_ptr<const Dataset> dataset,
                                           std::shared_ptr<const Transform> transform, const BatchOptions& options);
std::unique_ptr<Batches> MakeTokenBatches(std::shared_ptr<const Dataset> dataset,
                                          std::shared_ptr<const Transform> transform, const BatchOptions& options);

/// The least of `shapes`, which ascend in places, that holds `places`. REQUIRES: there is one.
int ShapeFor(std::span<const BatchShape> shapes, int64_t places);

/// Whole batches in `epochs` epochs.
uint64_t WholeSteps(double epochs, uint64_t samples, uint64_t batch);

/// Places of training samples: the least that there are at first, and the most that an epoch and augmentation can make
/// of one.
struct PlacesRange {
  int64_t least = 0, most = 0;
  uint64_t longest_id = 0;
};
PlacesRange RangeOfPlaces(const Dataset& dataset, const Transform& transform);

}  // namespace lockstep::data
