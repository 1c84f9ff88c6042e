// The bytes of a shard, what one rank writes into a checkpoint, and the names of files (docs/checkpoint-format.md):
//
//   shard       := header chunk* index trailer
//   file        := shard
//   shared file := shard (zeros shard)*           each at a multiple of kShardAlignment
//
// Header, index and trailer follow from the manifest's entry for the shard, so that a reader compares them whole and no
// byte of the file goes unchecked. The index is there for people who have lost the manifest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/checkpoint/checkpoint.pb.h"

namespace lockstep::checkpoint {

/// Chunks begin here: a page, so that slices, which are whole multiples of 16 KiB, stay aligned in the file.
inline constexpr uint64_t kShardHeaderBytes = 4096;
/// Of the header: shards are the same in all formats of checkpoints so far.
inline constexpr uint32_t kShardVersion = 1;
/// Shards in a shared file begin at multiples of this, so that no two hosts ever write into one page, nor into one
/// stripe of most file systems that span servers.
inline constexpr uint64_t kShardAlignment = uint64_t{1} << 20;
/// 1 MiB: what a reader of one element must read and hash.
inline constexpr int64_t kMaxChunkElements = 256 * 1024;

/// Whose shards a file holds: those of ranks `first` to `last`, of `attempt`. It is shared where these are several.
struct ShardFileName {
  uint32_t first = 0, last = 0, attempt = 0;

  bool shared() const { return first < last; }
  /// "rank-00003.attempt-0002.shard", "ranks-00000-00003.attempt-0002.shard".
  std::string ToString() const;
  /// Nothing where `name` is no such name.
  static std::optional<ShardFileName> Parse(std::string_view name);
};

/// The name of the file that `rank` shares with nobody.
std::string ShardName(uint32_t rank, uint32_t attempt);
/// The attempt in the name of a file of shards, also where the name is temporary; nothing for any other file.
std::optional<uint32_t> AttemptOfShard(std::string_view name);

/// The header of `file`, of `attempt`: kShardHeaderBytes.
std::string EncodeHeader(const ShardFile& file, uint32_t attempt);
/// What follows the last chunk: one entry per chunk, and the trailer, whose hash covers header, index and itself.
std::string EncodeIndex(const ShardFile& file, uint32_t attempt);
/// Bytes of EncodeIndex for `chunks` chunks.
uint64_t IndexBytes(uint64_t chunks);

}  // namespace lockstep::checkpoint
