// Some samples of a data set as a data set of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"

namespace lockstep::data {

/// Sample i is sample ids[i] of `whole`. REQUIRES: they exist.
std::shared_ptr<const Dataset> ChooseSamples(std::shared_ptr<const Dataset> whole, std::vector<uint64_t> ids,
                                             uint64_t fingerprint);

}  // namespace lockstep::data
