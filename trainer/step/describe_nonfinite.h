// What is known about a loss or gradient that is not finite: the first tensor, the lanes it came from, their samples.
#pragma once

#include <cstdint>
#include <string>

#include "data/batches/batches.h"
#include "trainer/step/compute.h"
#include "trainer/step/control_record.h"

namespace lockstep::step {

/// Collective, after step `step` and before the next begins (the lanes' gradients are still there): "the gradient of
/// step 310 is not finite: first in conv1.weight, from lane 3 (samples 17, 230, 5, ...)". Lanes that one executor has
/// summed before anybody could look are named together, those with a loss that is not finite alone.
std::string DescribeNonfinite(const data::Batches& batches, Compute& compute, uint64_t step,
                              const ControlRecord& record);

}  // namespace lockstep::step
