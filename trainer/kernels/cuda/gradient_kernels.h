// The GPU's gradient kernels (trainer/optim/gradient_kernels.h).
#pragma once

#include <memory>

#include "trainer/optim/gradient_kernels.h"

namespace lockstep::cuda {

std::unique_ptr<optim::GradientKernels> MakeGradientKernels();

}  // namespace lockstep::cuda
