// The manifest's bytes, and what must hold in a manifest whatever its file says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/shape.h"
#include "trainer/checkpoint/checkpoint.pb.h"

namespace lockstep::checkpoint {

/// The newest format that this program knows. Checkpoints without shared files are written as format 1.
inline constexpr uint32_t kFormatVersion = 2;

/// The bytes of `manifest` with format_version and self_hash filled in; the same for the same content.
std::string EncodeManifest(Manifest manifest);

/// Throws Error(kCheckpoint) at `where`: a hash that does not fit, a format that is newer, or content that
/// CheckManifest refuses.
Manifest DecodeManifest(std::string_view bytes, const std::string& where);

/// Whether others have parts in the file too.
bool IsShared(const ShardFile& file);

/// Throws Error(kCheckpoint) at `where` unless names are unique, tensors lie inside the arena without overlapping, and
/// each shard's chunks lie inside an array, back to back in the file, and add up to its size; and unless shards in a
/// file that ranks share follow each other there and here, each at the first multiple of 1 MiB after the one before.
void CheckManifest(const Manifest& manifest, const std::string& where);

/// REQUIRES of these: CheckManifest.
Shape ShapeOf(const Tensor& tensor);
int64_t ElementsOf(const Tensor& tensor);
/// "weights, adam.m, adam.v".
std::string ArrayNames(const Manifest& manifest);

/// Where elements from `begin` of an array lie.
struct ChunkPlace {
  int64_t begin;
  int file;
  int chunk;
};

/// By array, its chunks by ascending begin. Throws Error(kCheckpoint) at `where` unless they cover each array exactly
/// once. REQUIRES: CheckManifest.
std::vector<std::vector<ChunkPlace>> IndexChunks(const Manifest& manifest, const std::string& where);

}  // namespace lockstep::checkpoint
