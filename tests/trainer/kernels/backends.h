// The backends that this machine has.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "trainer/engine/backend.h"

namespace lockstep::conformance {

struct BackendCase {
  std::string name;
  int threads = 1;                 ///< of the team that runs its kernels
  double unit_roundoff = 0x1p-24;  ///< of its arithmetic
  std::function<std::unique_ptr<engine::Backend>()> make;
  DType activations = DType::kF32;  ///< the type of activations and their gradients
};

/// One line per backend, and per way of running it that changes bits.
const std::vector<BackendCase>& Backends();

}  // namespace lockstep::conformance
