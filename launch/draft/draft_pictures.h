// A recipe for a folder of pictures.
#pragma once

#include "launch/draft/draft.h"

namespace lockstep::launch {

/// options.path is a folder with a folder of pictures for each class. Throws Error(kData) or Error(kUsage) where it is
/// not.
Draft DraftPictures(const DraftOptions& options);

/// The part of a recipe behind its data: a model of so many pictures, and how it is trained.
std::string ModelOfPictures(uint64_t pictures);

}  // namespace lockstep::launch
