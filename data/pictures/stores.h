// The two kinds of PictureStore.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "data/pictures/archive_index.h"
#include "data/pictures/picture_list.h"
#include "data/pictures/picture_store.h"

namespace lockstep::data {

/// Files in or below `folder`, or where absolute names say.
std::unique_ptr<PictureStore> MakeFileStore(std::string folder, PictureNames names);

/// An archive on disk with its index.
struct OpenArchive {
  std::string path;
  std::unique_ptr<ReadableFile> file;
  ArchiveIndex index;
};

/// The pictures of the archives, one archive behind the other. Each Read looks whether a member of that size begins
/// where the index says, and throws Error(kData) where none does.
std::unique_ptr<PictureStore> MakeArchiveStore(std::vector<OpenArchive> archives);

}  // namespace lockstep::data
