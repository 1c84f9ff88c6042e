// The numerics fingerprint: what, besides the recipe and the build, decides bits on a machine.
#pragma once

#include <map>
#include <string>

#include "trainer/plan/train.pb.h"
#include "trainer/step/place.h"

namespace lockstep::run {

/// The GPU's model, or the CPU's with its cache sizes and instruction set; precision, libc, the backend's library, and
/// environment variables that change numbers.
std::map<std::string, std::string> NumericsFingerprint(const plan::TrainConfig& config, const step::Place& place);

}  // namespace lockstep::run
