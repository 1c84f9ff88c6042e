// The pictures of a folder, with a class a subfolder: directories are read, but of files no more than their names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/pictures/picture_list.h"

namespace lockstep::data {

/// A directory as it was when it was listed: whatever is added to it, removed or renamed changes its time.
struct DirectoryState {
  std::string path;  ///< in the folder; empty: itself
  uint64_t device = 0, inode = 0;
  int64_t changed_ns = 0;  ///< since 1970: of its content, which can be set back
  int64_t status_ns = 0;   ///< of anything, which can't

  bool operator==(const DirectoryState&) const = default;
};

struct WalkedFolder {
  PictureList list;
  std::map<std::string, uint64_t> passed_over;  ///< how many files of each kind are no pictures: "*.txt", "hidden"
  std::vector<DirectoryState> directories;      ///< all that were looked into
  bool broken = false;                          ///< something was told to on_broken
};

/// Walks `folder`: pictures of each class are sorted by the bytes of their paths. `field`: of the folder
/// ("data.train.folder.path"). Throws Error(kData) or tells of a class without a picture and of pictures of a kind that
/// is not read; throws where there is no folder, no class, or a directory that can't be read.
WalkedFolder WalkFolder(const std::string& folder, const std::string& field, const BrokenFunction& on_broken);

/// The state of a directory of `folder` now; inode 0 where there is none.
DirectoryState StateOf(const std::string& folder, const std::string& path);

}  // namespace lockstep::data
