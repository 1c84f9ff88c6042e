// What a program's gradients of losses are scaled by.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "data/dataset.h"
#include "trainer/graph/graph.h"
#include "trainer/graph/step_block.h"

namespace lockstep::step {

/// Each loss's weight / what the step's samples count for in it.
inline void SetLossScales(const data::LossCounts& denominators, std::span<const graph::Loss> losses,
                          graph::StepBlock& block) {
  static_assert(graph::StepBlock::kMaxLosses == std::tuple_size_v<data::LossCounts>);
  for (size_t i = 0; i < losses.size(); ++i)
    block.loss_scale[i] = losses[i].weight / static_cast<float>(denominators[i]);
}

}  // namespace lockstep::step
