// Which parameters make a model's answers: its last layer.
#pragma once

#include <set>
#include <string>

#include "trainer/graph/graph.h"

namespace lockstep::models {

struct Head {
  /// Names of parameters, and of running statistics of norms behind them. Empty where the graph doesn't say.
  std::set<std::string> parameters;
  bool shared = false;  ///< another layer reads one of them, too
};

/// Of a forward graph of training: from what each loss compares back to the first matrix or kernel, with all biases and
/// norms on the way. Where two branches meet before one is found, none is.
Head FindHead(const graph::Graph& training);

}  // namespace lockstep::models
