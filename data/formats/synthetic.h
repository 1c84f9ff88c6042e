// Random samples for benchmarks: a pure function of (seed, id), so nothing is held in memory.
#pragma once

#include <memory>
#include <string>

#include "data/data.pb.h"
#include "data/dataset.h"

namespace lockstep::data {

/// "image" u8 [height, width, channels], uniform bytes, or "features" f32 [n], uniform with mean 0 and variance 1; and
/// "label" i32 [], uniform. Or "tokens" i32 [n] and "label" i32 [n], both uniform. `field` ("data.train.synthetic")
/// names the message in errors, and gives each split samples of its own. Throws Error(kUsage).
std::unique_ptr<Dataset> MakeSynthetic(const Synthetic& config, const std::string& field, uint64_t seed);

}  // namespace lockstep::data
