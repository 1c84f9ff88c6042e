// Lists of recordings with what is said in them: one a line, as TSV (path, transcript, optional speaker), as a table
// with a heading between tabs or commas (Common Voice's, among others), or as JSON (NeMo's "audio_filepath" and "text",
// among others' names).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/source_file.h"

namespace lockstep::data {

struct ManifestEntry {
  std::string path;  ///< as it stands there
  std::string transcript;
  std::string speaker;  ///< empty where the manifest names none
  uint64_t line = 0;    ///< from 1
};

/// The entries in the order of their lines. A manifest whose first character is "{" is JSON. Blank lines, a byte order
/// mark and carriage returns don't count. Throws Error(kData) with the line where columns or keys are missing or too
/// many, text is no UTF-8 or has control characters, or there is no entry at all.
std::vector<ManifestEntry> ReadManifest(std::span<const std::byte> text, const Origin& origin);

}  // namespace lockstep::data
