// One step of an element program over a block of elements.
#pragma once

#include <cstdint>

#include "trainer/kernels/element_program.h"

namespace lockstep::onednn {

/// y[i] = the step's function of the operands' elements i, for i < size. `operands`: as many as the step reads. `y` may
/// be one of them.
void RunStep(const kernels::ProgramStep& step, const float* const* operands, float* y, int64_t size);

}  // namespace lockstep::onednn
