// Lists of large folders are kept, so that a run that goes on, or another one, need not walk a million files again.
#pragma once

#include <cstdint>
#include <string>

#include "data/pictures/walk_folder.h"

namespace lockstep::data {

struct KeepOptions {
  uint64_t least_pictures = 20'000;  ///< smaller folders are walked as fast
};

/// As WalkFolder, with the list that is kept in the cache folder where that is still right: every directory that was
/// walked is the one it was and was not changed since, by both of its times. A list is kept only where all directories
/// had been quiet for ten seconds when it was made, so that later changes do change their times, however coarse these
/// are. A cache that can't be written is passed over.
WalkedFolder ListFolder(const std::string& folder, const std::string& field, const BrokenFunction& on_broken,
                        const KeepOptions& options = {});

}  // namespace lockstep::data
