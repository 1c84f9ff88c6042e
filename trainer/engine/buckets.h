// When the buckets of the gradient arena become ready.
#pragma once

#include <span>
#include <vector>

#include "base/arena.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/graph/graph.h"

namespace lockstep::engine {

/// By bucket: the last op that writes or reads a gradient or lane statistic in it, or reads (in the parameter arena or
/// as a packed copy) a parameter or statistic in it; -1 where none does.
std::vector<int> LastTouch(const graph::Graph& graph, const ParameterLayout& layout,
                           std::span<const ElementRange> buckets);

}  // namespace lockstep::engine
