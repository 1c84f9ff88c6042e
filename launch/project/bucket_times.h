// When along a backward pass the gradients of each bucket are whole, and can be sent.
#pragma once

#include <vector>

#include "trainer/engine/program_plan.h"

namespace lockstep::launch {

/// By bucket of `buckets`: the share of the backward pass that is over then, 0 to 1. An op takes its floating-point
/// operations and its bytes, of which a machine does `flops_per_byte` of the former in the time of one of the latter.
/// REQUIRES: a plan of training, flops_per_byte > 0.
std::vector<double> ReadyShares(const engine::ProgramPlan& plan, int buckets, double flops_per_byte);

}  // namespace lockstep::launch
