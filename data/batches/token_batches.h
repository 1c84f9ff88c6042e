// Batches of ragged samples (batches.h) of a number of tokens, padding included.
#pragma once

#include <memory>

#include "data/batches/batches.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

std::unique_ptr<Batches> MakeTokenBatches(std::shared_ptr<const Dataset> dataset,
                                          std::shared_ptr<const Transform> transform, const BatchOptions& options);

}  // namespace lockstep::data
