// Who reads a value.
#pragma once

#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::passes {

/// The values that are read after the run: losses, counters, outputs, gradients and lane statistics. May repeat.
std::vector<graph::ValueId> Results(const graph::Graph& graph);

/// How many operands read each value; being a result counts as one.
std::vector<int> CountReaders(const graph::Graph& graph);

}  // namespace lockstep::passes
