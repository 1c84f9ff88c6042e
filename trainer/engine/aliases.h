// Where a reshaped value really lies.
#pragma once

#include <set>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::engine {

/// The values of `graph` that lie in the gradient arena: parameters' gradients and lane statistics.
std::set<graph::ValueId> GradientArenaValues(const graph::Graph& graph);

/// By ValueId: the value whose memory it shares as the result of an op that shares it (kReshape, kCacheAppend) (of
/// another such result's input, and so on); itself for all others. Values in `outside` have memory of their own.
std::vector<graph::ValueId> ReshapeRoots(const graph::Graph& graph, const std::set<graph::ValueId>& outside);

}  // namespace lockstep::engine
