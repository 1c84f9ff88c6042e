#include "data/text/token_files.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "base/philox.h"

namespace lockstep::data {
namespace {

constexpr int32_t kMagic16 = 20240520, kVersion16 = 1, kMagic32 = 20240801, kVersion32 = 7;
constexpr uint64_t kHeaderBytes = 256 * sizeof(int32_t);

/// One file, and where its tokens stand among those of all.
struct Shard {
  std::string path;
  std::unique_ptr<ReadableFile> file;
  uint64_t header = 0;  ///< bytes in front of the tokens
  uint64_t width = 2;   ///< bytes of a token
  uint64_t first = 0, count = 0;
};

Error Damaged(const std::string& path, std::string message) {
  return Error(ErrorKind::kData, std::move(message), path,
               "token files hold 16-bit ids, or what llm.c's scripts write: make it again");
}

Shard OpenShard(const std::string& path, const std::string& field) {
  Shard shard;
  shard.path = path;
  try {
    shard.file = FileSystem::Real().Open(path);
  } catch (const Error& error) {
    throw Error(ErrorKind::kData, error.message(), field + ": " + path, error.hint());
  }
  const uint64_t size = shard.file->size();
  if (size >= kHeaderBytes) {
    std::array<int32_t, 3> header{};
    shard.file->ReadAt(0, std::as_writable_bytes(std::span(header)));
    const bool has16 = header[0] == kMagic16 && header[1] == kVersion16,
               has32 = header[0] == kMagic32 && header[1] == kVersion32;
    if (has16 || has32) {
      shard.header = kHeaderBytes;
      shard.width = has32 ? 4 : 2;
      shard.count = static_cast<uint32_t>(header[2]);
      if (shard.count * shard.width != size - kHeaderBytes) {
        throw Damaged(path, fmt::format("its header says {} tokens of {} bytes, but {} bytes follow", shard.count,
                                        shard.width, size - kHeaderBytes));
      }
      return shard;
    }
  }
  if (size % shard.width != 0) throw Damaged(path, fmt::format("{} bytes are no 16-bit ids", size));
  shard.count = size / shard.width;
  return shard;
}

class FileTokens final : public TokenSource {
 public:
  FileTokens(std::vector<Shard> shards, const TokenFilesOptions& options)
      : shards_(std::move(shards)), vocabulary_(options.vocabulary) {
    uint64_t all = 0;
    for (Shard& shard : shards_) {
      shard.first = all;
      all += shard.count;
    }
    begin_ = static_cast<uint64_t>(options.begin * static_cast<double>(all));
    const uint64_t end = options.end >= 1 ? all : static_cast<uint64_t>(options.end * static_cast<double>(all));
    size_ = end - begin_;
    fingerprint_ = Fingerprint(options.fingerprint);
  }

  uint64_t size() const override { return size_; }
  uint64_t fingerprint() const override { return fingerprint_; }

  void Read(uint64_t first, std::span<int32_t> to) const override {
    CHECK(first <= size_ && to.size() <= size_ - first);
    uint64_t at = begin_ + first;
    const auto after = std::upper_bound(shards_.begin(), shards_.end(), at,
                                        [](uint64_t token, const Shard& shard) { return token < shard.first; });
    for (auto shard = std::prev(after); !to.empty(); ++shard) {
      const uint64_t within = at - shard->first, count = std::min<uint64_t>(to.size(), shard->count - within);
      ReadFrom(*shard, within, to.first(count));
      to = to.subspan(count);
      at += count;
    }
  }

 private:
  void ReadFrom(const Shard& shard, uint64_t first, std::span<int32_t> to) const {
    // The narrow ids lie at the end of where the wide ones go.
    std::byte* const bytes = reinterpret_cast<std::byte*>(to.data() + to.size()) - to.size() * shard.width;
    shard.file->ReadAt(shard.header + first * shard.width, {bytes, to.size() * shard.width});
    for (size_t i = 0; i < to.size(); ++i) {
      uint32_t id = 0;
      std::memcpy(&id, bytes + i * shard.width, shard.width);
      if (id >= static_cast<uint32_t>(vocabulary_)) {
        throw Error(ErrorKind::kData,
                    fmt::format("token {} is {}, but the vocabulary has {}", first + i, id, vocabulary_), shard.path,
                    "give the vocabulary that the file was made with");
      }
      to[i] = static_cast<int32_t>(id);
    }
  }

  uint64_t Fingerprint(const FingerprintOptions& options) const {
    Hasher hasher;
    uint64_t bytes = 0;
    for (const Shard& shard : shards_) {
      hasher.AddInteger(shard.width);
      hasher.AddInteger(shard.count);
      bytes += shard.count * shard.width;
    }
    hasher.AddInteger(begin_);
    hasher.AddInteger(size_);
    const bool whole = options.verify == Verify::FULL || bytes <= options.whole_up_to;
    for (const Shard& shard : shards_) AddBytes(shard, whole, options.seed, hasher);
    return hasher.Digest();
  }

  /// All bytes, or of large data as many blocks of each file as makes about 4,096 of all.
  void AddBytes(const Shard& shard, bool whole, uint64_t seed, Hasher& hasher) const {
    constexpr uint64_t kBlock = uint64_t{64} << 10, kBlocks = 4096;
    const uint64_t bytes = shard.count * shard.width, blocks = (bytes + kBlock - 1) / kBlock;
    const uint64_t chosen = whole ? blocks : std::min(blocks, kBlocks / shards_.size() + 1);
    std::vector<std::byte> buffer(kBlock);
    for (uint64_t i = 0; i < chosen; ++i) {
      const uint64_t block = whole ? i : Mix64(Mix64(seed) + i) % blocks;
      const std::span<std::byte> part(buffer.data(), std::min(kBlock, bytes - block * kBlock));
      shard.file->ReadAt(shard.header + block * kBlock, part);
      hasher.Add(part);
    }
  }

  std::vector<Shard> shards_;
  const int32_t vocabulary_;
  uint64_t begin_ = 0, size_ = 0, fingerprint_ = 0;
};

}  // namespace

std::unique_ptr<TokenSource> OpenTokenFiles(const std::vector<std::string>& paths, const std::string& field,
                                            const TokenFilesOptions& options) {
  if (paths.empty()) throw Error(ErrorKind::kUsage, "no file is named", field, "set it in the recipe");
  std::vector<Shard> shards;
  for (const std::string& path : paths) shards.push_back(OpenShard(path, field));
  return std::make_unique<FileTokens>(std::move(shards), options);
}

}  // namespace lockstep::data
