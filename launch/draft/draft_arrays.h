// Recipes for NumPy's arrays.
#pragma once

#include "launch/draft/draft.h"

namespace lockstep::launch {

/// Of the .npz file options.path, whose arrays are told by what people call them: x and y, inputs and labels, x_train
/// and x_test. Throws Error(kUsage) where none is called so, Error(kData) where it can't be read.
Draft DraftArrays(const DraftOptions& options);

}  // namespace lockstep::launch
