#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/damage.h"
#include "trainer/checkpoint/durable_write.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {
namespace {

/// Some 30 million chunks; a protobuf message ends at 2 GiB.
constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 30;

std::string ReadManifest(FileSystem& files, const std::string& folder, const std::string& path) {
  if (!files.Exists(path)) {
    if (!files.Exists(folder))
      throw Error(ErrorKind::kCheckpoint, "no such folder", folder,
                  "name a run's folder or a checkpoint's: RUN, or RUN/checkpoints/step-...");
    throw Error(ErrorKind::kCheckpoint, "no manifest.pb: not a checkpoint, or one that was never finished", folder,
                "name another: `lockstep inspect RUN` lists those of a run");
  }
  const std::unique_ptr<ReadableFile> file = files.Open(path);
  if (file->size() > kMaxManifestBytes)
    throw Damage(fmt::format("damaged manifest: it has {} bytes", file->size()), path);
  std::string bytes(static_cast<size_t>(file->size()), '\0');
  file->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace

std::unique_ptr<Reader> Reader::Open(FileSystem& files, const std::string& folder) {
  const std::string path = folder + "/" + kManifestName;
  Manifest manifest = DecodeManifest(AsCheckpointError([&] { return ReadManifest(files, folder, path); }), path);
  const std::optional<uint64_t> step = ParseFolderName(std::filesystem::path(folder).filename().string());
  if (step && *step != manifest.step()) {
    throw Damage(fmt::format("damaged: the manifest is of step {}, the folder of step {}", manifest.step(), *step),
                 path);
  }
  return std::unique_ptr<Reader>(new Reader(files, folder, std::move(manifest)));
}

Reader::Reader(FileSystem& files, std::string folder, Manifest manifest)
    : files_(files),
      folder_(std::move(folder)),
      manifest_(std::move(manifest)),
      places_(IndexChunks(manifest_, folder_ + "/" + kManifestName)) {}

int Reader::EvaluatedArray() const {
  const int best = manifest_.loop().has_best() ? ArrayIndex("best") : -1;
  if (best >= 0) return best;
  const int ema = ArrayIndex("ema");
  return ema >= 0 ? ema : ArrayIndex("weights");
}

int Reader::ArrayIndex(const std::string& array) const {
  for (int i = 0; i < manifest_.arrays_size(); ++i)
    if (manifest_.arrays(i) == array) return i;
  return -1;
}

std::string Reader::PathOf(int file) const { return folder_ + "/" + manifest_.files(file).name(); }

/// Of the whole file, whose last shard ends it.
uint64_t Reader::FileBytes(int file) const {
  int last = file;
  while (last + 1 < manifest_.files_size() && manifest_.files(last + 1).name() == manifest_.files(file).name()) ++last;
  return manifest_.files(last).offset() + manifest_.files(last).bytes();
}

std::shared_ptr<const ReadableFile> Reader::OpenShard(int file) const {
  const MutexLock lock(mutex_);
  if (last_file_ >= 0 && manifest_.files(last_file_).name() == manifest_.files(file).name()) return last_open_;
  std::shared_ptr<const ReadableFile> opened = files_.Open(PathOf(file));
  if (opened->size() != FileBytes(file)) {
    throw Damage(fmt::format("the file has {} bytes, not {} as the manifest says: it is damaged", opened->size(),
                             FileBytes(file)),
                 PathOf(file));
  }
  last_file_ = file;
  last_open_ = opened;
  return opened;
}

void Reader::ReadChunk(int file, int chunk, std::span<float> data) const {
  const Chunk& info = manifest_.files(file).chunks(chunk);
  OpenShard(file)->ReadAt(info.file_offset(), std::as_writable_bytes(data));
  const uint64_t hash = Hash64(std::as_bytes(data));
  if (hash == info.hash()) return;
  throw Damage(fmt::format("chunk {} at byte {} (elements [{}, {}) of {}) has hash {}, not {} as the manifest says: "
                           "it is damaged",
                           chunk, info.file_offset(), info.begin(), info.begin() + info.elements(),
                           manifest_.arrays(static_cast<int>(info.array())), HashText(hash), HashText(info.hash())),
               PathOf(file));
}

void Reader::Read(int array, int64_t begin, std::span<float> data) const {
  CHECK(array >= 0 && array < manifest_.arrays_size(), "array {}", array);
  const int64_t end = begin + static_cast<int64_t>(data.size());
  CHECK(begin >= 0 && end <= manifest_.arena_elements(), "[{}, {}) of {}", begin, end, manifest_.arena_elements());
  if (data.empty()) return;
  const auto& places = places_[static_cast<size_t>(array)];
  auto place = std::prev(std::upper_bound(places.begin(), places.end(), begin,
                                          [](int64_t element, const ChunkPlace& p) { return element < p.begin; }));
  std::vector<float> whole;
  AsCheckpointError([&] {
    for (; place != places.end() && place->begin < end; ++place) {
      const int64_t elements = manifest_.files(place->file).chunks(place->chunk).elements();
      const int64_t from = std::max(begin, place->begin), to = std::min(end, place->begin + elements);
      const std::span<float> target = data.subspan(static_cast<size_t>(from - begin), static_cast<size_t>(to - from));
      if (to - from == elements) {
        ReadChunk(place->file, place->chunk, target);
        continue;
      }
      whole.resize(static_cast<size_t>(elements));
      ReadChunk(place->file, place->chunk, whole);
      std::memcpy(target.data(), whole.data() + (from - place->begin), target.size_bytes());
    }
  });
}

void Reader::VerifyFrame(int file) const {
  const ShardFile& info = manifest_.files(file);
  const std::shared_ptr<const ReadableFile> shard = OpenShard(file);
  const auto compare = [&](uint64_t offset, const std::string& expected, const char* part) {
    std::string bytes(expected.size(), '\0');
    shard->ReadAt(offset, std::as_writable_bytes(std::span(bytes)));
    const auto differs = std::mismatch(bytes.begin(), bytes.end(), expected.begin()).first;
    if (differs == bytes.end()) return;
    throw Damage(
        fmt::format("the {} is damaged at byte {}", part, offset + static_cast<uint64_t>(differs - bytes.begin())),
        PathOf(file));
  };
  if (info.offset() > 0) {
    const ShardFile& before = manifest_.files(file - 1);
    const uint64_t end = before.offset() + before.bytes();
    compare(end, std::string(info.offset() - end, '\0'), "gap");
  }
  const std::string index = EncodeIndex(info, manifest_.attempt());
  compare(info.offset(), EncodeHeader(info, manifest_.attempt()), "header");
  compare(info.offset() + info.bytes() - index.size(), index, "index");
}

void Reader::Verify() const {
  std::vector<float> data;
  AsCheckpointError([&] {
    for (int file = 0; file < manifest_.files_size(); ++file) {
      VerifyFrame(file);
      for (int chunk = 0; chunk < manifest_.files(file).chunks_size(); ++chunk) {
        data.resize(static_cast<size_t>(manifest_.files(file).chunks(chunk).elements()));
        ReadChunk(file, chunk, data);
      }
    }
  });
}

}  // namespace lockstep::checkpoint
