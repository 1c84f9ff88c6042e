// The bytes of a shard, the file that one rank writes into a checkpoint (docs/checkpoint-format.md):
//
//   shard := header chunk* index trailer
//
// Header, index and trailer follow from the manifest's entry for the file, so that a reader compares them whole and no
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
/// 1 MiB: what a reader of one element must read and hash.
inline constexpr int64_t kMaxChunkElements = 256 * 1024;

/// "rank-00003.attempt-0002.shard".
std::string ShardName(uint32_t rank, uint32_t attempt);
/// The attempt in a shard's name, also where the name is temporary; nothing for any other file.
std::optional<uint32_t> AttemptOfShard(std::string_view name);

/// The header of `file`, of `attempt`: kShardHeaderBytes.
std::string EncodeHeader(const ShardFile& file, uint32_t attempt);
/// What follows the last chunk: one entry per chunk, and the trailer, whose hash covers header, index and itself.
std::string EncodeIndex(const ShardFile& file, uint32_t attempt);
/// Bytes of EncodeIndex for `chunks` chunks.
uint64_t IndexBytes(uint64_t chunks);

}  // namespace lockstep::checkpoint
