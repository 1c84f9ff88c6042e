// The batches of a training split: of equal samples, of a number of ragged ones, or of a number of tokens.
#pragma once

#include <memory>

#include "data/batches/batches.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// Throws Error(kUsage) where a lane has more rows than there are samples, batch_tokens is asked of samples that have
/// no lengths, or a sample has more time steps or tokens than batch_tokens.
std::unique_ptr<Batches> MakeBatches(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
                                     const BatchOptions& options);

}  // namespace lockstep::data
