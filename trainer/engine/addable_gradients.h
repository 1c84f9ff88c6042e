// Gradients that may be added to what their arena holds by the op that writes them.
#pragma once

#include <set>
#include <string>

#include "trainer/engine/backend.h"
#include "trainer/engine/program_plan.h"

namespace lockstep::engine {

/// Names of the parameters whose gradients one op alone writes, no op reads, and `backend` can add as it writes them.
std::set<std::string> AddableGradients(const ProgramPlan& plan, Backend& backend);

/// The parameter whose gradient is the first output of `op`; "": there is none.
std::string ParameterOfGradient(const graph::Graph& graph, const graph::Op& op);

}  // namespace lockstep::engine
