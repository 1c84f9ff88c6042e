// Matrix products and convolutions as plain loops, for emulated devices: float sums in ascending order of k, what comes
// out rounded once.
#pragma once

#include <memory>

#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::cuda {

std::unique_ptr<DenseLibrary> MakeLoopLibrary();

}  // namespace lockstep::cuda
