// Graphs as pictures.
#pragma once

#include <string>

#include "trainer/graph/graph.h"

namespace lockstep::graph {

/// Graphviz text: ops as boxes, values as edges with shapes.
std::string ToDot(const Graph& graph);

}  // namespace lockstep::graph
