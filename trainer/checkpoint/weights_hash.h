// The hash by which weights are compared, computed from a checkpoint: equal to the `weights=` that the run prints.
#pragma once

#include <cstdint>

#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::checkpoint {

/// XXH3-64 of array `array` over all parameters (not statistics) in ascending name order: name bytes, then
/// little-endian float32 bytes. Reads in pieces of 1 MiB.
uint64_t WeightsHash(const Reader& reader, int array);

}  // namespace lockstep::checkpoint
