#include "trainer/checkpoint/manifest.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "trainer/checkpoint/damage.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {
namespace {

/// Protobuf writes fields by ascending number: self_hash is last, one byte of tag (field 15, 64 bits) and eight of
/// value. They are written by hand, since a value of 0 would be left out.
constexpr char kSelfHashTag = (15 << 3) | 1;
constexpr size_t kSelfHashBytes = 9;
/// 2^42 floats are 16 TiB, and nothing below overflows.
constexpr int64_t kMaxArenaElements = int64_t{1} << 42;
constexpr int kMaxArrays = 64;

template <typename... Args>
[[noreturn]] void Damaged(const std::string& where, fmt::format_string<Args...> format, Args&&... args) {
  throw Damage("damaged manifest: " + fmt::format(format, std::forward<Args>(args)...), where);
}

std::string Serialize(const Manifest& manifest) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    manifest.SerializeToCodedStream(&coded);
  }
  return bytes;
}

void CheckArrays(const Manifest& manifest, const std::string& where) {
  if (manifest.arena_elements() < 1 || manifest.arena_elements() > kMaxArenaElements)
    Damaged(where, "arena_elements is {}", manifest.arena_elements());
  if (manifest.arrays_size() < 1 || manifest.arrays_size() > kMaxArrays)
    Damaged(where, "there are {} arrays", manifest.arrays_size());
  if (manifest.arrays(0) != "weights") Damaged(where, "the first array is '{}', not weights", manifest.arrays(0));
  std::set<std::string> names;
  for (const std::string& name : manifest.arrays()) {
    if (name.empty() || !names.insert(name).second) Damaged(where, "array '{}' is there twice, or has no name", name);
  }
}

/// The number of elements of `tensor`, which lies inside an arena of `limit` elements.
int64_t CheckTensor(const Tensor& tensor, int64_t limit, const std::string& where) {
  if (tensor.shape_size() > Shape::kMaxRank)
    Damaged(where, "tensor '{}' has {} dimensions", tensor.name(), tensor.shape_size());
  int64_t size = 1;
  for (const int64_t dim : tensor.shape()) {
    if (dim < 1 || dim > limit / size) Damaged(where, "tensor '{}' has a dimension of {}", tensor.name(), dim);
    size *= dim;
  }
  if (tensor.offset() < 0 || tensor.offset() > limit - size)
    Damaged(where, "tensor '{}' at element {} lies outside the arena", tensor.name(), tensor.offset());
  return size;
}

void CheckTensors(const Manifest& manifest, const std::string& where) {
  struct Extent {
    int64_t begin, end;
    const std::string* name;
  };
  std::vector<Extent> extents;
  std::set<std::string> names;
  for (const Tensor& tensor : manifest.tensors()) {
    if (tensor.name().empty() || !names.insert(tensor.name()).second)
      Damaged(where, "tensor '{}' is there twice, or has no name", tensor.name());
    const int64_t size = CheckTensor(tensor, manifest.arena_elements(), where);
    extents.push_back({tensor.offset(), tensor.offset() + size, &tensor.name()});
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].begin < extents[i - 1].end)
      Damaged(where, "tensors '{}' and '{}' overlap", *extents[i - 1].name, *extents[i].name);
  }
}

void CheckFile(const Manifest& manifest, const ShardFile& file, const std::string& where) {
  uint64_t offset = file.offset() + kShardHeaderBytes;
  for (int i = 0; i < file.chunks_size(); ++i) {
    const Chunk& chunk = file.chunks(i);
    if (chunk.array() >= static_cast<uint32_t>(manifest.arrays_size()) || chunk.elements() < 1 ||
        chunk.elements() > kMaxChunkElements || chunk.begin() < 0 ||
        chunk.begin() > manifest.arena_elements() - chunk.elements())
      Damaged(where, "chunk {} of {} lies outside its array", i, file.name());
    if (chunk.file_offset() != offset)
      Damaged(where, "chunk {} of {} should be at byte {}, not {}", i, file.name(), offset, chunk.file_offset());
    offset += static_cast<uint64_t>(chunk.elements()) * sizeof(float);
  }
  const uint64_t bytes = offset + IndexBytes(static_cast<uint64_t>(file.chunks_size())) - file.offset();
  if (file.bytes() != bytes) Damaged(where, "{} has {} bytes by its chunks, not {}", file.name(), bytes, file.bytes());
}

/// Names also keep paths out of the folder from being read.
void CheckName(const Manifest& manifest, const ShardFile& file, const std::string& where) {
  const std::optional<ShardFileName> name = ShardFileName::Parse(file.name());
  if (!name || name->attempt != manifest.attempt() || file.rank() < name->first || file.rank() > name->last)
    Damaged(where, "file '{}' of rank {} and attempt {} should be named {}", file.name(), file.rank(),
            manifest.attempt(), ShardName(file.rank(), manifest.attempt()));
  if (name->last >= manifest.world_size())
    Damaged(where, "{} is of rank {} among {} ranks", file.name(), name->last, manifest.world_size());
}

void CheckFiles(const Manifest& manifest, const std::string& where) {
  std::set<std::string> names;
  const ShardFile* before = nullptr;
  for (const ShardFile& file : manifest.files()) {
    CheckName(manifest, file, where);
    const bool goes_on = before != nullptr && before->name() == file.name() && before->rank() < file.rank();
    if (!goes_on && !names.insert(file.name()).second)
      Damaged(where, "file '{}' is there twice, or its ranks are out of order", file.name());
    const uint64_t offset = goes_on ? AlignUp(before->offset() + before->bytes(), kShardAlignment) : 0;
    if (file.offset() != offset)
      Damaged(where, "rank {} should begin at byte {} of {}, not {}", file.rank(), offset, file.name(), file.offset());
    CheckFile(manifest, file, where);
    before = &file;
  }
}

/// The lowest version that programs must know to read it.
uint32_t FormatNeededBy(const Manifest& manifest) {
  const bool shares = std::any_of(manifest.files().begin(), manifest.files().end(), IsShared);
  return shares ? 2 : 1;
}

}  // namespace

std::string EncodeManifest(Manifest manifest) {
  manifest.set_format_version(FormatNeededBy(manifest));
  manifest.clear_self_hash();
  std::string bytes = Serialize(manifest);
  const uint64_t hash = Hash64(bytes);
  bytes.push_back(kSelfHashTag);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(hash >> (8 * i)));
  return bytes;
}

Manifest DecodeManifest(std::string_view bytes, const std::string& where) {
  if (bytes.size() <= kSelfHashBytes) Damaged(where, "it has only {} bytes", bytes.size());
  const std::string_view body = bytes.substr(0, bytes.size() - kSelfHashBytes);
  uint64_t stored = 0;
  for (size_t i = 0; i < 8; ++i) stored |= uint64_t{static_cast<uint8_t>(bytes[body.size() + 1 + i])} << (8 * i);
  if (bytes[body.size()] != kSelfHashTag || stored != Hash64(body))
    Damaged(where, "its bytes have hash {}, not {} as its end says", HashText(Hash64(body)), HashText(stored));
  Manifest manifest;
  if (!manifest.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) Damaged(where, "not a Manifest message");
  if (manifest.format_version() > kFormatVersion) {
    throw Error(ErrorKind::kCheckpoint,
                fmt::format("checkpoint format {} is newer than this program, which knows formats up to {}",
                            manifest.format_version(), kFormatVersion),
                where,
                fmt::format("use the Lockstep that wrote it, version {}, or a newer one", manifest.lockstep_version()));
  }
  if (manifest.format_version() < 1) Damaged(where, "it names no format version");
  if (manifest.format_version() < FormatNeededBy(manifest))
    Damaged(where, "format {} has no files that ranks share", manifest.format_version());
  CheckManifest(manifest, where);
  return manifest;
}

void CheckManifest(const Manifest& manifest, const std::string& where) {
  CheckArrays(manifest, where);
  CheckTensors(manifest, where);
  CheckFiles(manifest, where);
}

bool IsShared(const ShardFile& file) {
  const std::optional<ShardFileName> name = ShardFileName::Parse(file.name());
  return name && name->shared();
}

Shape ShapeOf(const Tensor& tensor) {
  return Shape(std::span<const int64_t>(tensor.shape().data(), static_cast<size_t>(tensor.shape_size())));
}

int64_t ElementsOf(const Tensor& tensor) { return ShapeOf(tensor).size(); }

std::string ArrayNames(const Manifest& manifest) {
  std::string names;
  for (const std::string& name : manifest.arrays()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::vector<std::vector<ChunkPlace>> IndexChunks(const Manifest& manifest, const std::string& where) {
  std::vector<std::vector<ChunkPlace>> index(static_cast<size_t>(manifest.arrays_size()));
  for (int f = 0; f < manifest.files_size(); ++f) {
    const ShardFile& file = manifest.files(f);
    for (int c = 0; c < file.chunks_size(); ++c)
      index[file.chunks(c).array()].push_back({file.chunks(c).begin(), f, c});
  }
  for (int array = 0; array < manifest.arrays_size(); ++array) {
    auto& places = index[static_cast<size_t>(array)];
    std::sort(places.begin(), places.end(), [](const ChunkPlace& a, const ChunkPlace& b) { return a.begin < b.begin; });
    int64_t covered = 0;
    for (const ChunkPlace& place : places) {
      if (place.begin != covered)
        Damaged(where, "element {} of array {} is in {}", std::min(place.begin, covered), manifest.arrays(array),
                place.begin > covered ? "no chunk" : "two chunks");
      covered += manifest.files(place.file).chunks(place.chunk).elements();
    }
    if (covered != manifest.arena_elements())
      Damaged(where, "element {} of array {} is in no chunk", covered, manifest.arrays(array));
  }
  return index;
}

}  // namespace lockstep::checkpoint
