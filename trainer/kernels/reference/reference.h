// The oracle: every op in plain loops and double precision, from the op's definition in graph.h and nothing else. Other
// backends are compared with it, op by op. Not for training.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/reference/tensor.h"

namespace lockstep::reference {

/// Runs one op. `inputs` in operand order, absent ones empty; integers are held as doubles; the step block is passed
/// apart.
std::vector<Tensor> RunOp(const graph::Graph& graph, const graph::Op& op, const std::vector<const Tensor*>& inputs,
                          const graph::StepBlock& step_block);

/// Runs a whole graph from named values (inputs, parameters, statistics); returns every value, by ValueId.
std::vector<Tensor> RunGraph(const graph::Graph& graph, const std::map<std::string, Tensor>& values,
                             const graph::StepBlock& step_block);

}  // namespace lockstep::reference
