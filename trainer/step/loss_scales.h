// What a program's gradients of losses are scaled by.
#pragma once

#include <array>
#include <cstddef>

#include "data/dataset.h"
#include "trainer/graph/step_block.h"

namespace lockstep::step {

/// 1 / what the step's samples count for in each loss.
inline void SetLossScales(const data::LossCounts& denominators, graph::StepBlock& block) {
  static_assert(graph::StepBlock::kMaxLosses == std::tuple_size_v<data::LossCounts>);
  for (size_t i = 0; i < denominators.size(); ++i) block.loss_scale[i] = 1.0f / static_cast<float>(denominators[i]);
}

}  // namespace lockstep::step
