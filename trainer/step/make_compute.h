// What a rank computes on: the device that it has, else the host's cores.
#pragma once

#include <memory>

#include "base/memory.h"
#include "trainer/optim/optimizer.h"
#include "trainer/step/compute.h"
#include "trainer/step/owned_state.h"

namespace lockstep::step {

/// Memory for an OwnedState's arrays, zeroed: where the compute reads and writes the host's view.
OwnedState::Allocate ViewMemoryOf(const Place& place);

/// Collective, both. `optimizer` and `state`, whose arrays begin with the optimizer's, outlive it.
std::unique_ptr<Compute> MakeCompute(const ComputeParts& parts, const optim::Optimizer& optimizer, OwnedState& state);
std::unique_ptr<ForwardCompute> MakeForwardCompute(const ComputeParts& parts);

}  // namespace lockstep::step
