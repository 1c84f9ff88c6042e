// Ops that do the same whatever the order of their operands' dimensions, once their attributes are told.
#pragma once

#include <optional>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::passes {

/// An op over operands whose dimensions come in another order.
struct Reordered {
  graph::Attributes attributes;
  std::vector<int> order;  ///< dimension d of its old result is dimension order[d] of the new one
};

/// `op` over operands of which dimension d of the old one is dimension order[d] of the new one; none where that is
/// another computation. Operands that are broadcast have as many dimensions as the result, some of size 1.
std::optional<Reordered> Reorder(const graph::Graph& graph, const graph::Op& op, const std::vector<int>& order);

/// `shape` with its dimensions where they were before `order`: dimension order[d] of the result is dimension d of it.
Shape ReorderedShape(const Shape& shape, const std::vector<int>& order);

}  // namespace lockstep::passes
