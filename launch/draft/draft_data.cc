#include "launch/draft/draft_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "data/file_kind.h"
#include "data/formats/manifest.h"
#include "data/source_file.h"
#include "data/utf8.h"
#include "launch/draft/draft_arrays.h"
#include "launch/draft/draft_boxes.h"
#include "launch/draft/draft_pictures.h"
#include "launch/draft/draft_sequences.h"
#include "launch/draft/draft_table.h"

namespace lockstep::launch {
namespace {

bool EndsWith(const std::string& path, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return path.ends_with(end); });
}

/// Whether the text is a list of recordings: the first path that it names is one of a sound file.
bool IsManifest(std::span<const std::byte> text, const std::string& path) {
  try {
    const std::vector<data::ManifestEntry> entries = data::ReadManifest(text, {path, "DATA"});
    return EndsWith(entries.front().path, {".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".m4a"});
  } catch (const Error&) {
    return false;
  }
}

/// Whether most of the first lines have as many separators as the first, of one kind: prose has not.
bool IsTable(std::span<const std::byte> text, const std::string& path) {
  if (EndsWith(path, {".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.xz", ".csv.zst", ".csv.bz2"})) return true;
  std::string_view rest = data::WithoutByteOrderMark(text);
  constexpr int kLookedAt = 50, kFewest = 5;
  for (const char separator : {',', ';', '\t', '|'}) {
    std::string_view left = rest;
    ptrdiff_t wanted = 0;
    int lines = 0, alike = 0;
    while (!left.empty() && lines < kLookedAt) {
      const std::string_view line = left.substr(0, left.find('\n'));
      left.remove_prefix(std::min(line.size() + 1, left.size()));
      if (line.find_first_not_of(" \r\t") == line.npos || line.starts_with('#')) continue;
      const ptrdiff_t found = std::count(line.begin(), line.end(), separator);
      if (lines++ == 0) wanted = found;
      alike += found == wanted;
    }
    if (wanted > 0 && lines >= kFewest && alike * 10 >= lines * 9) return true;
  }
  return false;
}

void RequireOneUse(const DraftOptions& options, bool table) {
  if (table || (options.label.empty() && options.targets.empty() && options.task.empty())) return;
  throw Error(ErrorKind::kUsage, "is no table, which has columns", options.path,
              "leave out --label, --target and --task");
}

}  // namespace

Draft DraftData(const std::vector<std::string>& paths, DraftOptions options) {
  options.path = paths.front();
  if (paths.size() > 2)
    throw Error(ErrorKind::kUsage, fmt::format("{} paths are given", paths.size()), "DATA",
                "one file or folder, or two files of sentences and their translations");
  if (const std::optional<BoxFiles> boxes = FindBoxFiles(options.path)) {
    RequireOneUse(options, false);
    return DraftBoxes(*boxes, options);
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(options.path, ignored)) {
    RequireOneUse(options, false);
    return DraftPictures(options);
  }
  if (paths.size() == 2) {
    RequireOneUse(options, false);
    return DraftTranslation(paths[1], options);
  }
  if (EndsWith(options.path, {".bin", ".npy"})) {
    RequireOneUse(options, false);
    return DraftTokens(options);
  }
  if (EndsWith(options.path, {".npz"})) {
    RequireOneUse(options, false);
    return DraftArrays(options);
  }
  const std::vector<std::byte> text = data::LoadSourceFile({options.path, "DATA"});
  if (data::WithoutByteOrderMark(text).find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw Error(ErrorKind::kData, "is empty", options.path, "name a file with data in it");
  if (IsManifest(text, options.path)) {
    RequireOneUse(options, false);
    return DraftSpeech(text, options);
  }
  const bool table = IsTable(text, options.path);
  RequireOneUse(options, table);
  return table ? DraftTable(text, options) : DraftText(text, options);
}

}  // namespace lockstep::launch
