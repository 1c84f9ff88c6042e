// Numbers that are not finite, found where they come by.
#pragma once

#include <cstdint>
#include <span>

namespace lockstep::step {

/// Index of the first element that is NaN or infinite; -1: there is none. Cheap where `values` are in cache.
int64_t FirstNonfinite(std::span<const float> values);

}  // namespace lockstep::step
