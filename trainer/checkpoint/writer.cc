#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/hash.h"
#include "base/memory.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/durable_write.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "chunks are written as they lie in memory");

std::span<const std::byte> AsBytes(const std::string& text) { return std::as_bytes(std::span(text)); }

/// All of the shard's entry but the hashes, which come with the bytes.
ShardFile LayOut(const std::string& name, uint64_t begin, uint32_t rank, const std::string& host,
                 std::span<const OwnedRange> ranges) {
  ShardFile file;
  file.set_name(name);
  file.set_offset(begin);
  file.set_rank(rank);
  file.set_host(host);
  uint64_t offset = begin + kShardHeaderBytes;
  for (const OwnedRange& range : ranges) {
    const auto size = static_cast<int64_t>(range.data.size());
    for (int64_t at = 0; at < size; at += kMaxChunkElements) {
      Chunk* chunk = file.add_chunks();
      chunk->set_array(range.array);
      chunk->set_begin(range.begin + at);
      chunk->set_elements(std::min(kMaxChunkElements, size - at));
      chunk->set_file_offset(offset);
      offset += static_cast<uint64_t>(chunk->elements()) * sizeof(float);
    }
  }
  file.set_bytes(offset + IndexBytes(static_cast<uint64_t>(file.chunks_size())) - begin);
  return file;
}

void AppendShard(WritableFile& out, uint32_t attempt, std::span<const OwnedRange> ranges, ShardFile* file) {
  out.Append(AsBytes(EncodeHeader(*file, attempt)));
  int next = 0;
  for (const OwnedRange& range : ranges) {
    for (size_t at = 0; at < range.data.size();) {
      Chunk* chunk = file->mutable_chunks(next++);
      const auto bytes = std::as_bytes(range.data.subspan(at, static_cast<size_t>(chunk->elements())));
      chunk->set_hash(Hash64(bytes));
      out.Append(bytes);
      at += static_cast<size_t>(chunk->elements());
    }
  }
  out.Append(AsBytes(EncodeIndex(*file, attempt)));
}

void CheckConsistent(const Manifest& manifest, const std::string& folder) {
  std::string reason;
  try {
    CheckManifest(manifest, folder);
    IndexChunks(manifest, folder);
  } catch (const Error& error) {
    reason = error.what();
  }
  CHECK(reason.empty(), "{}", reason);
}

/// Throws where a later attempt has committed this step. A manifest that can't be read is no reason not to replace it.
void CheckNotSuperseded(FileSystem& files, const std::string& folder, uint32_t attempt) {
  uint32_t committed = 0;
  try {
    if (!files.Exists(folder + "/" + kManifestName)) return;
    committed = Reader::Open(files, folder)->manifest().attempt();
  } catch (const Error&) {
    return;
  }
  if (committed > attempt) {
    throw Error(ErrorKind::kSuperseded,
                fmt::format("attempt {} has committed this step; attempt {} is superseded", committed, attempt), folder,
                "another job runs in this run folder; end one of them");
  }
}

/// Removes shards and temporary files that the manifest doesn't list. Those of later attempts are not ours to remove,
/// and files that don't look like ours are left alone.
void RemoveUnlisted(FileSystem& files, const std::string& folder, const Manifest& manifest) {
  for (const std::string& name : files.List(folder)) {
    if (IsTemporaryOf(name, kManifestName)) files.RemoveAll(folder + "/" + name);
    const std::optional<uint32_t> attempt = AttemptOfShard(name);
    if (!attempt || *attempt > manifest.attempt()) continue;
    const bool listed = std::any_of(manifest.files().begin(), manifest.files().end(),
                                    [&](const ShardFile& file) { return file.name() == name; });
    if (!listed) files.RemoveAll(folder + "/" + name);
  }
}

/// Gives files that ranks share their names: durable before the manifest says that they are there.
void NameSharedFiles(FileSystem& files, const std::string& folder, const Manifest& manifest) {
  std::string last;
  for (const ShardFile& file : manifest.files()) {
    if (!IsShared(file) || file.name() == last) continue;
    last = file.name();
    NameParts(files, folder + "/" + last);
  }
  if (!last.empty()) files.SyncFolder(folder);
}

}  // namespace

uint64_t ShardBytes(std::span<const int64_t> range_sizes) {
  uint64_t elements = 0, chunks = 0;
  for (const int64_t size : range_sizes) {
    elements += static_cast<uint64_t>(size);
    chunks += static_cast<uint64_t>((size + kMaxChunkElements - 1) / kMaxChunkElements);
  }
  return elements == 0 ? 0 : kShardHeaderBytes + elements * sizeof(float) + IndexBytes(chunks);
}

std::vector<ShardPlace> PlaceShards(std::span<const uint64_t> shard_bytes, uint32_t files) {
  const uint64_t ranks = shard_bytes.size();
  const uint64_t groups = files == 0 ? ranks : std::min<uint64_t>(files, ranks);
  std::vector<ShardPlace> places;
  for (uint64_t group = 0; group < groups; ++group) {
    const auto first = static_cast<uint32_t>(group * ranks / groups);
    const auto last = static_cast<uint32_t>((group + 1) * ranks / groups - 1);
    uint64_t end = 0;
    for (uint32_t rank = first; rank <= last; ++rank) {
      const uint64_t offset = AlignUp(end, kShardAlignment);
      places.push_back({first, last, offset});
      if (shard_bytes[rank] > 0) end = offset + shard_bytes[rank];
    }
  }
  return places;
}

ShardFile WriteShard(FileSystem& files, const std::string& folder, uint32_t rank, uint32_t attempt,
                     const std::string& host, std::span<const OwnedRange> ranges, const ShardPlace& place) {
  const bool shared = place.first < place.last;
  const std::string name =
      shared ? ShardFileName{place.first, place.last, attempt}.ToString() : ShardName(rank, attempt);
  ShardFile file = LayOut(name, shared ? place.offset : 0, rank, host, ranges);
  const auto append = [&](WritableFile& out) { AppendShard(out, attempt, ranges, &file); };
  AsCheckpointError([&] {
    files.CreateFolders(folder);
    if (!shared)
      WriteAtomically(files, folder + "/" + name, Durability::kMachine, append);
    else if (file.chunks_size() > 0)
      WritePartDurably(files, folder + "/" + name, place.offset, append);
  });
  return file;
}

void CommitManifest(FileSystem& files, const std::string& folder, Manifest manifest) {
  CheckConsistent(manifest, folder);
  CheckNotSuperseded(files, folder, manifest.attempt());
  AsCheckpointError([&] {
    NameSharedFiles(files, folder, manifest);
    // The folder's own name must be durable too, before the manifest says that the checkpoint exists.
    files.SyncFolder(ParentFolder(folder));
    const std::string bytes = EncodeManifest(manifest);
    WriteFileAtomically(files, folder + "/" + kManifestName, bytes);
  });
  try {
    RemoveUnlisted(files, folder, manifest);
  } catch (const Error&) {
    // The checkpoint is committed; what is left over costs space only.
  }
}

void DiscardUnfinished(FileSystem& files, const std::string& folder) {
  try {
    if (!files.Exists(folder + "/" + kManifestName)) files.RemoveAll(folder);
  } catch (const Error&) {
    // RemoveOld comes by again.
  }
}

}  // namespace lockstep::checkpoint
