// The picture files that a user names.
#pragma once

#include <string>
#include <vector>

namespace lockstep::launch {

/// Files as they are named, and of folders the JPEG and PNG files in and below them, sorted by their paths. Throws
/// Error(kData) where a folder can't be listed or has none.
std::vector<std::string> ListPictures(const std::vector<std::string>& inputs);

}  // namespace lockstep::launch
