// `lockstep data check RECIPE`: opens and reads everything that a recipe trains and evaluates on, and names all that is
// broken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/data.pb.h"

namespace lockstep::launch {

/// Prints each split's samples, classes and lengths, and a line for each file or sample that can't be read. Returns 0,
/// or 3 where there is one. `seed` is the recipe's. Throws Error where nothing can be said of the data: what the recipe
/// asks for doesn't exist. Of pictures with boxes, a few are drawn into the PNG file `sheet`.
int CheckData(const data::DataConfig& config, uint64_t seed, const std::string& sheet);

}  // namespace lockstep::launch
