// The audio files that a manifest names, on disk or in archives: opened by their headers, decoded one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/audio/decode.h"
#include "data/formats/archive.h"
#include "data/formats/manifest.h"
#include "data/memory_dataset.h"

namespace lockstep::data {

/// Archives that were read, so that splits share them. Not thread-safe.
class ArchiveCache {
 public:
  /// Null where this failed before. Throws Error(kData) the first time.
  std::shared_ptr<const Archive> Open(const std::string& path, const std::string& field);

 private:
  std::map<std::string, std::shared_ptr<const Archive>> archives_;
};

/// One audio file.
struct Recording {
  std::string path;   ///< of an archive's member "ARCHIVE:MEMBER"
  std::string where;  ///< the manifest and its line; empty where no manifest names it
  AudioHeader header = {};
  int64_t length = 0;                                ///< samples at the rate that was asked for
  uint64_t bytes = 0;                                ///< of the file
  std::shared_ptr<const Archive> archive = nullptr;  ///< null for a file on disk
  std::span<const std::byte> member = {};            ///< in the archive
};

/// How recordings are opened.
struct RecordingOptions {
  Origin manifest;      ///< relative paths start at its folder; without a path at the working directory
  int sample_rate = 0;  ///< Hz
};

/// Throws Error(kData), without a place, where audio that says this of itself can't be resampled to `sample_rate`.
void RequireRate(const AudioHeader& header, int sample_rate);

/// Opens the file of `entry` and reads its header. Throws Error(kData) naming file and line; returns nothing where its
/// archive can't be read and that was said before.
std::optional<Recording> OpenRecording(const ManifestEntry& entry, const RecordingOptions& options,
                                       ArchiveCache& archives);

/// Mono samples at `sample_rate`, `recording.length` many; replaces `samples`. Thread-safe. Throws Error(kData) naming
/// file and line.
void ReadRecording(const Recording& recording, int sample_rate, std::vector<float>& samples);

/// A hash of the files' bytes: of all up to 1 GiB, above that of sizes and 4,096 blocks chosen by the seed.
uint64_t FingerprintOf(std::span<const Recording> recordings, const FingerprintOptions& options);

}  // namespace lockstep::data
