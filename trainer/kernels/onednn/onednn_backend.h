// The CPU backend: matrix products and convolutions by oneDNN primitives, everything else by loops of our own.
//
// Bits depend on shapes, the instruction set and the size of a lane's thread team alone (all in the recipe), never on
// addresses, timing, or on what else runs: scratchpads are the program's workspace, convolutions are direct (no
// Winograd), and our own loops have a fixed order of summation that is the same on every instruction set.
#pragma once

#include <memory>
#include <string>

#include "base/machine/cpu_info.h"
#include "trainer/engine/backend.h"

namespace lockstep {

struct OneDnnOptions {
  int lane_threads =
      1;  ///< threads of a lane's team; kernels are prepared for, and must run on, threads with such a team
  Isa isa = DetectIsa();  ///< what oneDNN may use; one for the process: the first backend decides
};

/// Thread-safe: executors may prepare kernels at the same time. Throws Error(kUsage) where the machine lacks `isa`, and
/// Error(kInternal) where the process already runs on another one.
std::unique_ptr<engine::Backend> MakeOneDnnBackend(const OneDnnOptions& options);

/// "2.6.3 (commit, OMP)": part of the numerics fingerprint.
std::string OneDnnVersion();

}  // namespace lockstep
