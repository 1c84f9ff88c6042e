// A part of a data set, drawn by a seed: what an evaluation looks at that need not see all.
#pragma once

#include <cstdint>
#include <memory>

#include "data/dataset.h"

namespace lockstep::data {

/// `count` different samples of `whole`, in their order there: the same ones for the same seed. `whole` itself where
/// count is 0 or it has no more. The fingerprint is that of the whole.
std::shared_ptr<const Dataset> DrawSamples(std::shared_ptr<const Dataset> whole, uint64_t count, uint64_t seed);

}  // namespace lockstep::data
