// Means and deviations of what the model reads, for normalisation.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// Of each channel of images, each feature of rows, each target.
struct ChannelStatistics {
  std::vector<double> mean;
  std::vector<double> deviation;  ///< square root of the mean of squared distances from the mean
  std::vector<bool> binary;       ///< all values are 0 or 1
};

/// Of field `field` of the samples after `transform`, without augmentation, in their order and in double precision: a
/// pass that adds up around the first value of each channel. Images count every pixel. Of more samples than `most` so
/// many are drawn by `seed`.
ChannelStatistics Measure(const std::shared_ptr<const Dataset>& dataset, const Transform& transform, size_t field,
                          uint64_t most, uint64_t seed);

}  // namespace lockstep::data
