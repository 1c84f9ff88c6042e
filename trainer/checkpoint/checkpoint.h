// Checkpoints: a folder step-00001200/ with one shard of owned slices per writing rank, in a file of its own or in one
// that ranks share, and a manifest, written last (docs/checkpoint-format.md). State is addressed by array and element
// range, so any number of ranks reads what any other wrote.
//
// Writing:  each rank WriteShard -> Receipt; the coordinator collects receipts and calls CommitManifest, the commit
// point. Reading:  FindNewest passes over what is unfinished or damaged; Reader reads any range of any array, verifying
// chunks.
//
// Failures are Error(kCheckpoint), whatever the file system called them. Functions that write may run on any thread;
// two at once in one folder only where they write shards of different ranks. The folder `checkpoints`, which holds the
// checkpoints of a run, exists and is durable before the first of them is written.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "base/mutex.h"
#include "trainer/checkpoint/checkpoint.pb.h"
#include "trainer/checkpoint/manifest.h"

namespace lockstep::checkpoint {

inline constexpr char kManifestName[] = "manifest.pb";

/// "step-00001200".
std::string FolderName(uint64_t step);
/// The step that `name` is the folder of, if it is one.
std::optional<uint64_t> ParseFolderName(const std::string& name);

/// A contiguous run of one array that this rank owns, starting at element `begin`.
struct OwnedRange {
  uint32_t array = 0;
  int64_t begin = 0;
  std::span<const float> data;
};

/// Bytes of the shard of a rank that owns ranges of these sizes, in elements; 0 where it owns nothing.
uint64_t ShardBytes(std::span<const int64_t> range_sizes);

/// The file that ranks `first` to `last` write, and where in it one of them does; it is that rank's alone where these
/// are the same.
struct ShardPlace {
  uint32_t first = 0, last = 0;
  uint64_t offset = 0;
};
/// Deals the ranks to `files` files (0: one each), in runs of about equal length, and their shards, of `shard_bytes` by
/// rank, to places in them.
std::vector<ShardPlace> PlaceShards(std::span<const uint64_t> shard_bytes, uint32_t files);

/// Writes this rank's file into `folder` (created where missing): temporary name, fsync, rename, fsync of the folder.
/// The name carries rank and attempt. After a failure the temporary file is removed, where that works.
/// At a `place` in a shared file: writes and fsyncs its part of the temporary file; CommitManifest renames it, or
/// DiscardUnfinished removes it. There a rank that owns nothing writes nothing.
ShardFile WriteShard(FileSystem& files, const std::string& folder, uint32_t rank, uint32_t attempt,
                     const std::string& host, std::span<const OwnedRange> ranges, const ShardPlace& place = {});

/// Names the files that ranks share and writes the manifest: after this the checkpoint exists. Fills in format_version
/// and self_hash. Then removes what this or earlier attempts left in the folder and the manifest doesn't list. A
/// manifest that a later attempt has committed is never replaced: that is an error. REQUIRES: the shards in the
/// manifest are durable, and hold every array once (CHECKed).
void CommitManifest(FileSystem& files, const std::string& folder, Manifest manifest);

/// Removes a folder that has no manifest, to give a full disk its bytes back after a failed write. Failing to is no
/// error. REQUIRES: no rank is writing into it.
void DiscardUnfinished(FileSystem& files, const std::string& folder);

/// Steps of folders under `checkpoints` that have a manifest, ascending; not verified.
std::vector<uint64_t> ListSteps(FileSystem& files, const std::string& checkpoints);

/// Removes all but the newest `keep` (at least 2) committed checkpoints, steps in `pinned` apart, and what is
/// unfinished or set aside and older than the newest. REQUIRES: the newest is good (it has just been written), and the
/// loop has set aside those that it passed over; else a damaged one counts as one to keep.
void RemoveOld(FileSystem& files, const std::string& checkpoints, int keep, std::span<const uint64_t> pinned);

/// Renames all folders of steps after `step` to "step-...-set-aside", so that they no longer count. For a run that
/// resumes from `step` because the newer ones are damaged.
void SetAsideNewer(FileSystem& files, const std::string& checkpoints, uint64_t step);

/// Reads any range of any array of one checkpoint. Thread-safe.
class Reader {
 public:
  /// Reads and checks the manifest: every array is covered exactly once, tensors lie inside, sizes add up. Throws
  /// Error(kCheckpoint) saying what is damaged, or that the format is newer.
  static std::unique_ptr<Reader> Open(FileSystem& files, const std::string& folder);

  const Manifest& manifest() const { return manifest_; }
  const std::string& folder() const { return folder_; }
  /// Index of `array` in manifest().arrays(); -1 where there is none.
  int ArrayIndex(const std::string& array) const;
  /// The array of weights that evaluations, exports and runs that begin with them mean: "best" where early stopping has
  /// kept some, else "ema" where there is one, else "weights".
  int EvaluatedArray() const;
  /// Fills `data` with elements from `begin` of `array`. Reads only the chunks it needs, and verifies their hashes.
  /// After an error `data` is undefined. REQUIRES: the range lies inside the arena.
  void Read(int array, int64_t begin, std::span<float> data) const;
  /// Reads every byte: throws Error(kCheckpoint) at the first that is damaged, naming file and chunk.
  void Verify() const;

 private:
  Reader(FileSystem& files, std::string folder, Manifest manifest);
  std::shared_ptr<const ReadableFile> OpenShard(int file) const;
  void ReadChunk(int file, int chunk, std::span<float> data) const;
  void VerifyFrame(int file) const;
  uint64_t FileBytes(int file) const;
  std::string PathOf(int file) const;

  FileSystem& files_;
  std::string folder_;
  Manifest manifest_;
  std::vector<std::vector<ChunkPlace>> places_;  ///< by array, ascending

  /// The file that was read last: neighbours of a range mostly lie in one, and open files are few where ranks are many.
  mutable Mutex mutex_;
  mutable int last_file_ GUARDED_BY(mutex_) = -1;
  mutable std::shared_ptr<const ReadableFile> last_open_ GUARDED_BY(mutex_);
};

/// The newest checkpoint under `checkpoints` that verifies, at most `at_most_step`; nullptr where there is none.
/// `passed_over` gets one line for each damaged one.
std::unique_ptr<Reader> FindNewest(FileSystem& files, const std::string& checkpoints, uint64_t at_most_step,
                                   std::vector<std::string>* passed_over);

/// Where the checkpoints of run folder `path` lie; empty where `path` is none. (`path` may be that folder itself.)
std::string CheckpointsOf(FileSystem& files, const std::string& path);

/// Opens PATH: a checkpoint folder, or a run folder, of which the newest good checkpoint is meant; those passed over
/// are warned of.
std::unique_ptr<Reader> OpenPath(FileSystem& files, const std::string& path);

}  // namespace lockstep::checkpoint
