// What a step's chunk records come to: GradientKernels::Conclude (trainer/optim/gradient_kernels.h).
#pragma once

#include <cstdint>

#include "base/device.h"
#include "trainer/optim/gradient_kernels.h"

namespace lockstep::cuda {

/// As GradientKernels::Conclude.
void LaunchConclusion(DeviceStream& stream, const optim::ChunkRecord* chunks, int64_t count, int64_t parameter_chunks,
                      const optim::ConclusionRules& rules, optim::StepOutcome* outcome);

}  // namespace lockstep::cuda
