// What the conformance test asserts of one case on one backend.
#pragma once

#include <string>
#include <vector>

#include "tests/trainer/kernels/op_cases.h"
#include "trainer/engine/backend.h"

namespace lockstep::conformance {

/// Compares an op's results with the reference: run twice at one place, at another place of the same alignment, at a
/// place aligned to kValueAlignment alone, and in place where the op table allows it. Returns what is wrong, a line
/// each. `unit_roundoff` is that of `activations`, the type of activations and their gradients (see MakeInstance).
std::vector<std::string> CheckOp(engine::Backend& backend, graph::OpKind kind, const OpCase& op_case,
                                 double unit_roundoff, DType activations = DType::kF32);

/// Runs the op, moves one element of each output by 100 tolerances (integers by 1, values that must be exact by one
/// unit in the last place), and returns a line for each output in which the comparison does not notice it.
std::vector<std::string> UnnoticedDisturbances(engine::Backend& backend, graph::OpKind kind, const OpCase& op_case,
                                               double unit_roundoff, DType activations = DType::kF32);

}  // namespace lockstep::conformance
