// Loops over whole tensors that several kernel families use.
#pragma once

#include <cstdint>

#include "trainer/graph/graph.h"

namespace lockstep::onednn {

/// y = activation(x) over `size` elements, by a team of `threads`. `y` may be `x`.
void ActivateAll(int threads, graph::Activation activation, const float* x, float* y, int64_t size);

}  // namespace lockstep::onednn
