// From a recipe's `arrays { ... }` to records.
#pragma once

#include <string>

#include "data/data.pb.h"
#include "data/formats/arrays.h"

namespace lockstep::data {

/// Reads all arrays that `config` names; `field` is its path in the recipe ("data.train.arrays"). Throws Error(kUsage)
/// where names are missing, twice there or none that a model could have, and Error(kData) as ReadArrays.
Records OpenArrays(const Arrays& config, const std::string& field, const ArrayOptions& options);

}  // namespace lockstep::data
