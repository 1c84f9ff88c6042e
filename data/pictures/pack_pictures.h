// Folders of pictures into tar archives that training reads as it reads the folder: large files instead of a million
// small ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/picture_list.h"

namespace lockstep::data {

struct PackOptions {
  std::string folder;          ///< with a class a subfolder
  std::string archive;         ///< "OUT.tar"; of several "OUT-00000.tar", "OUT-00001.tar" and so on
  uint64_t archive_bytes = 0;  ///< begins another archive where one would be larger; 0: one for all
  BrokenFunction on_broken;    ///< told of pictures that are no JPEG or PNG, which are left out; empty: they end it
};

struct PackedResult {
  uint64_t pictures = 0, bytes = 0;
  int classes = 0;
  std::vector<std::string> archives = {};
};

/// Writes each picture as NNNNNNNN.jpg (or .png, by its content) with its class's number in NNNNNNNN.cls, which is
/// WebDataset's layout, and beside each archive its index, with the names of classes. The bytes of pictures stay.
/// Throws as WalkFolder, and Error of files.
PackedResult PackPictures(const PackOptions& options);

}  // namespace lockstep::data
