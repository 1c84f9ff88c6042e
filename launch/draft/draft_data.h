// From data of any kind to a recipe: looks what they are.
#pragma once

#include <string>
#include <vector>

#include "launch/draft/draft.h"

namespace lockstep::launch {

/// `paths`: a file or folder, or two files of sentences and their translations. Throws Error(kUsage) or Error(kData)
/// where nothing can be made of them.
Draft DraftData(const std::vector<std::string>& paths, DraftOptions options);

}  // namespace lockstep::launch
