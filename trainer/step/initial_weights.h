// Initial weights: a pure function of the seed and each parameter's place in the model.
#pragma once

#include <cstdint>
#include <span>

#include "trainer/engine/parameter_layout.h"
#include "trainer/graph/builder.h"

namespace lockstep::step {

/// Fills `weights`, the whole parameter arena: each parameter from its initializer with numbers of its own random
/// stream, keyed by its number in creation order; statistics with their start; padding with 0.
void InitializeWeights(const graph::Model& model, const engine::ParameterLayout& layout, uint64_t seed,
                       std::span<float> weights);

}  // namespace lockstep::step
