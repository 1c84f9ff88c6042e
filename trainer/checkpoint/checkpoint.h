// Checkpoints: a folder step-00001200/ with one file of owned slices per writing rank and a manifest, written last
// (docs/checkpoint-format.md). State is addressed by array and element range, so any number of ranks reads what any other wrote.
//
// Writing:  each rank WriteShard -> Receipt; the coordinator collects receipts and calls CommitManifest, the commit point.
// Reading:  FindNewest passes over what is unfinished or damaged; Reader reads any range of any array, verifying chunks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "trainer/checkpoint/checkpoint.pb.h"

namespace lockstep::checkpoint {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr char kManifestName[] = "manifest.pb";

/// "step-00001200".
std::string FolderName(uint64_t step);

/// A contiguous run of one array that this rank owns, starting at element `begin`.
struct OwnedRange {
  uint32_t array = 0;
  int64_t begin = 0;
  std::span<const float> data;
};

/// Writes this rank's file into `folder` (created where missing): temporary name, fsync, rename, fsync of the folder.
/// The name carries rank and attempt. Throws Error(kCheckpoint).
ShardFile WriteShard(FileSystem& files, const std::string& folder, uint32_t rank, uint32_t attempt, const std::string& host,
                     std::span<const OwnedRange> ranges);

/// Writes the manifest: after this the checkpoint exists. Fills in format_version and self_hash.
void CommitManifest(FileSystem& files, const std::string& folder, Manifest manifest);

/// Steps of folders under `checkpoints` that have a manifest, ascending; not verified.
std::vector<uint64_t> ListSteps(FileSystem& files, const std::string& checkpoints);

/// Removes all but the newest `keep` committed checkpoints, steps in `pinned` apart, and unfinished folders older than the newest.
void RemoveOld(FileSystem& files, const std::string& checkpoints, int keep, std::span<const uint64_t> pinned);

class Reader {
 public:
  /// Reads and checks the manifest. Throws Error(kCheckpoint) saying what is damaged, or that the format is newer.
  static std::unique_ptr<Reader> Open(FileSystem& files, const std::string& folder);

  const Manifest& manifest() const { return manifest_; }
  const std::string& folder() const { return folder_; }
  /// Index of `array` in manifest().arrays(); -1 where there is none.
  int ArrayIndex(const std::string& array) const;
  /// Fills `data` with elements from `begin` of `array`. Reads only the chunks it needs, and verifies their hashes.
  void Read(int array, int64_t begin, std::span<float> data) const;
  /// Reads every byte: throws Error(kCheckpoint) at the first that is damaged, naming file and chunk.
  void Verify() const;

 private:
  Reader(FileSystem& files, std::string folder, Manifest manifest);
  FileSystem& files_;
  std::string folder_;
  Manifest manifest_;
};

/// The newest checkpoint under `checkpoints` that verifies, at most `at_most_step`; nullptr where there is none. `passed_over` gets one line
/// for each damaged one.
std::unique_ptr<Reader> FindNewest(FileSystem& files, const std::string& checkpoints, uint64_t at_most_step,
                                   std::vector<std::string>* passed_over);

/// Opens PATH: a checkpoint folder, or a run folder, of which the newest good checkpoint is meant.
std::unique_ptr<Reader> OpenPath(FileSystem& files, const std::string& path);

}  // namespace lockstep::checkpoint
