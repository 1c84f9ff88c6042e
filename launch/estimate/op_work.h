// What an op asks of a machine, in a few numbers: what its time is looked up by (op_times.h).
#pragma once

#include <array>
#include <string>

#include "trainer/graph/graph.h"

namespace lockstep::launch {

struct OpWork {
  std::string kind;  ///< "linear", as the op's row calls it; of what is no op: "update", "fold", "pack", "input"
  double flops = 0;  ///< floating-point operations of one run
  double bytes = 0;  ///< of its operands, each once
  /// What tells ops of equal size apart: elements of the first result; rows (the first dimension) and columns (the
  /// last) of the first operand; columns of the first result. Of "update": elements, addends of a sum, arrays of state.
  std::array<double, 4> shape = {1, 1, 1, 1};
};

OpWork WorkOf(const graph::Graph& graph, const graph::Op& op);

/// An update of `elements` weights whose gradient is the sum of `pieces` addends, by a rule that keeps `state_arrays`
/// arrays (optim::Optimizer::state_names).
OpWork UpdateWork(double elements, int pieces, int state_arrays);
/// What one lane's gradient of `elements` costs where its executor has several lanes and adds them up.
OpWork FoldWork(double elements);
/// Packed copies of weights of `bytes`.
OpWork PackWork(double bytes);
/// A batch of `bytes` that is copied to where a program reads it.
OpWork InputWork(double bytes);

}  // namespace lockstep::launch
