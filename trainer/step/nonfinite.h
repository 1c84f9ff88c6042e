// What is known about a loss or gradient that is not finite: the first tensor, the lanes it came from, their samples.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/plan/job.h"
#include "trainer/step/compiled_model.h"
#include "trainer/step/control_record.h"

namespace lockstep::step {

/// Index of the first element that is NaN or infinite; -1: there is none. Cheap where `values` are in cache.
int64_t FirstNonfinite(std::span<const float> values);

/// Collective, after step `step` and before the next begins (the lanes' gradients are still there): "the gradient of
/// step 310 is not finite: first in conv1.weight, from lane 3 (samples 17, 230, 5, ...)". Lanes that one executor has
/// summed before anybody could look are named together, those with a loss that is not finite alone.
std::string DescribeNonfinite(const plan::Job& job, CompiledModel& session, uint64_t step, const ControlRecord& record);

}  // namespace lockstep::step
