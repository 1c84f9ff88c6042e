// Where the pictures of a tar archive lie, and what class each is of: WebDataset's layout, NAME.jpg beside NAME.cls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "data/origin.h"
#include "data/pictures/picture_files.pb.h"
#include "data/pictures/picture_list.h"

namespace lockstep::data {

struct ArchiveIndex {
  PictureList list;
  std::vector<uint64_t> offsets, sizes;  ///< of each picture, in bytes
  uint64_t archive_bytes = 0;
};

/// Reads the archive's headers and classes. Throws Error(kData) where it is damaged, has no picture, or a picture has
/// no class.
ArchiveIndex IndexArchive(const ReadableFile& file, const Origin& origin);

/// ARCHIVE.index, where it lies beside the archive and fits it; else the one that is kept in the cache folder since the
/// archive was last opened; else a new one, which is kept there. Throws as IndexArchive.
ArchiveIndex FindIndex(const ReadableFile& file, const Origin& origin);

/// Writes ARCHIVE.index. Throws Error as files do.
void WriteIndex(const std::string& archive, const ArchiveIndex& index);

}  // namespace lockstep::data
