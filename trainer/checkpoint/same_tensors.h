// Whether a checkpoint holds the model that one means to fill with it.
#pragma once

#include "trainer/checkpoint/checkpoint.h"
#include "trainer/engine/parameter_layout.h"

namespace lockstep::checkpoint {

/// Throws Error(kCheckpoint) naming a tensor where names, shapes or places differ. An arena of the same size proves
/// nothing: an alphabet with a letter more may fit into the padding, and all letters behind it be others.
void RequireSameTensors(const Reader& reader, const engine::ParameterLayout& layout);

}  // namespace lockstep::checkpoint
