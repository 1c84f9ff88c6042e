// What a run trains: the graph of its model in any shape, what it is to learn, and the weights that it begins with.
#pragma once

#include <functional>

#include "data/batches/batches.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/graph/builder.h"
#include "trainer/metrics/metrics.h"

namespace lockstep::plan {

/// Weights that a run begins with instead of random ones: writes them over those in the parameter arena of the model,
/// whose graph is that of training.
using InitialWeights =
    std::function<void(const graph::Graph& model, const engine::ParameterLayout& layout, float* arena)>;

struct ModelSpec {
  metrics::Task task{};
  std::function<graph::Model(graph::Mode mode, const data::BatchShape& shape)> build;
  InitialWeights initial_weights;  ///< null: random
};

}  // namespace lockstep::plan
