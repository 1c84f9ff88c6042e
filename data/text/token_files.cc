#include "data/text/token_files.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/philox.h"
#include "data/file_kind.h"
#include "data/formats/npy.h"

namespace lockstep::data {
namespace {

constexpr int32_t kMagic16 = 20240520, kVersion16 = 1, kMagic32 = 20240801, kVersion32 = 7, kMagicEvaluation = 20240522;
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

/// What the beginning of a token file says of it.
class Opening {
 public:
  Opening(const Shard& shard, const std::string& field, const TokenFilesOptions& options)
      : path_(shard.path), size_(shard.file->size()), field_(field), options_(options) {
    bytes_.resize(std::min<uint64_t>(size_, kLooked));
    shard.file->ReadAt(0, bytes_);
  }

  /// Sets where the tokens lie in the file.
  void Describe(Shard& shard) const {
    if (IsLlmC()) return DescribeLlmC(shard);
    if (IsNpy(bytes_)) return DescribeNumPy(shard);
    shard.width = options_.id_bytes > 0 ? static_cast<uint64_t>(options_.id_bytes) : RawWidth();
    if (size_ % shard.width != 0)
      throw Damaged(path_, fmt::format("{} bytes are no {}-bit ids", size_, 8 * shard.width));
    shard.count = size_ / shard.width;
  }

 private:
  static constexpr uint64_t kLooked = 1 << 16;

  int32_t HeaderWord(size_t i) const {
    int32_t word = 0;
    if ((i + 1) * sizeof(word) <= bytes_.size()) std::memcpy(&word, bytes_.data() + i * sizeof(word), sizeof(word));
    return word;
  }
  bool IsLlmC() const {
    const int32_t magic = HeaderWord(0);
    // Ids of other files may be the same numbers; a version follows them that is small.
    return size_ >= kHeaderBytes && (magic == kMagic16 || magic == kMagic32 || magic == kMagicEvaluation) &&
           HeaderWord(1) >= 0 && HeaderWord(1) < 256;
  }
  void DescribeLlmC(Shard& shard) const {
    const int32_t magic = HeaderWord(0), version = HeaderWord(1);
    if (magic == kMagicEvaluation)
      throw Error(ErrorKind::kData, "holds llm.c's multiple-choice evaluation, which is no text to train on", path_,
                  "name a file of tokens");
    if (version != (magic == kMagic16 ? kVersion16 : kVersion32))
      throw Error(ErrorKind::kData, fmt::format("its header is llm.c's, of version {}, which is not known", version),
                  path_, fmt::format("version {} of this kind is read", magic == kMagic16 ? kVersion16 : kVersion32));
    shard.header = kHeaderBytes;
    shard.width = magic == kMagic32 ? 4 : 2;
    shard.count = static_cast<uint32_t>(HeaderWord(2));
    if (shard.count * shard.width != size_ - kHeaderBytes)
      throw Damaged(path_, fmt::format("its header says {} tokens of {} bytes, but {} bytes follow", shard.count,
                                       shard.width, size_ - kHeaderBytes));
  }

  void DescribeNumPy(Shard& shard) const {
    const NpyHeader header = ParseNpyHeader(bytes_, {path_, field_ + ".files"});
    const bool integers = header.kind == 'u' || header.kind == 'i';
    if (!integers || header.width < 2 || header.big_endian || (header.fortran_order && header.shape.size() > 1))
      throw Error(ErrorKind::kData,
                  fmt::format("is a NumPy array of another type than ids have: {}{}", header.descr,
                              header.fortran_order ? ", in Fortran's order" : ""),
                  path_, "write it with array.astype(numpy.uint16) or numpy.uint32");
    shard.header = header.bytes;
    shard.width = header.width;
    if ((size_ - shard.header) % shard.width != 0) throw Damaged(path_, "its numbers are cut off");
    shard.count = (size_ - shard.header) / shard.width;
    if (!path_.ends_with(".npy"))
      LogWarning("{}: is a NumPy array, whatever its name says: {} ids of {} bits are read", path_, shard.count,
                 8 * shard.width);
  }

  /// Of a file without a header, whose ids may be of any width: what its bytes can't be is refused.
  uint64_t RawWidth() const {
    if (const FileKind* kind = KindOf(bytes_)) throw WrongKind(*kind, path_);
    if (LooksLikeText(bytes_))
      throw Error(ErrorKind::kData, "is text, and no file of token ids", path_,
                  "lockstep tokenize makes one of it; or name it by data.train.text.file");
    const std::string say = fmt::format("say how wide they are: {}.id_bytes: ", field_);
    if (const uint64_t wider = WidthByZeros(); wider > 2)
      throw Error(ErrorKind::kData,
                  fmt::format("holds {}-bit ids, by its zeros, without a header that says so", 8 * wider), path_,
                  say + std::to_string(wider));
    if (options_.vocabulary > (1 << 16))
      throw Error(
          ErrorKind::kData,
          fmt::format("has no header, and a vocabulary of {} does not fit into 16-bit ids", options_.vocabulary), path_,
          say + "4, or 2 where all are below 65,536");
    return 2;
  }
  /// 4 or 8 where the upper halves of numbers so wide are all 0; else 2.
  uint64_t WidthByZeros() const {
    constexpr size_t kFewest = 64;
    if (bytes_.size() < kFewest) return 2;
    std::array<bool, 4> used{};  // of each 64 bits, the words that are ever not 0
    for (size_t i = 0; i + 1 < bytes_.size(); i += 2)
      used[i / 2 % 4] |= bytes_[i] != std::byte{0} || bytes_[i + 1] != std::byte{0};
    if (!used[0]) return 2;
    if (!used[2] && !used[3]) return 8;
    return !used[1] && !used[3] ? 4 : 2;
  }

  const std::string& path_;
  const uint64_t size_;
  const std::string& field_;
  const TokenFilesOptions& options_;
  std::vector<std::byte> bytes_;
};

Shard OpenShard(const std::string& path, const std::string& field, const TokenFilesOptions& options) {
  Shard shard;
  shard.path = path;
  try {
    shard.file = FileSystem::Real().Open(path);
  } catch (const Error& error) {
    throw Error(ErrorKind::kData, error.message(), field + ".files: " + path, error.hint());
  }
  Opening(shard, field, options).Describe(shard);
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
    fingerprint_ = Fingerprint(options);
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
    constexpr size_t kAtOnce = 4096;
    std::array<std::byte, kAtOnce * sizeof(uint64_t)> bytes;
    for (size_t done = 0; done < to.size(); done += kAtOnce) {
      const size_t count = std::min(kAtOnce, to.size() - done);
      const auto part = std::span(bytes).first(count * shard.width);
      shard.file->ReadAt(shard.header + (first + done) * shard.width, part);
      for (size_t i = 0; i < count; ++i) to[done + i] = IdAt(shard, part, i, first + done);
    }
  }

  /// Id `i` of bytes of a file's tokens from `first` on.
  int32_t IdAt(const Shard& shard, std::span<const std::byte> bytes, size_t i, uint64_t first) const {
    uint64_t id = 0;
    std::memcpy(&id, bytes.data() + i * shard.width, shard.width);
    if (id >= static_cast<uint64_t>(vocabulary_)) {
      throw Error(ErrorKind::kData,
                  fmt::format("token {} is {}, but the vocabulary has {}", first + i, id, vocabulary_), shard.path,
                  "give the vocabulary that the file was made with");
    }
    return static_cast<int32_t>(id);
  }

  uint64_t Fingerprint(const TokenFilesOptions& options) const {
    Hasher hasher;
    uint64_t bytes = 0;
    for (const Shard& shard : shards_) {
      hasher.AddInteger(shard.width);
      hasher.AddInteger(shard.count);
      bytes += shard.count * shard.width;
    }
    hasher.AddInteger(begin_);
    hasher.AddInteger(size_);
    const bool whole = options.fingerprint.verify == Verify::FULL || bytes <= options.fingerprint.whole_up_to;
    for (const Shard& shard : shards_) AddBytes(shard, whole, options, hasher);
    return hasher.Digest();
  }

  /// What is read anyway is looked at: a wrong id is found before the first step. `bytes`: tokens from `first` on.
  void CheckIds(const Shard& shard, std::span<const std::byte> bytes, uint64_t first) const {
    for (size_t i = 0; i < bytes.size() / shard.width; ++i) {
      const uint64_t at = shard.first + first + i;
      if (at >= begin_ && at < begin_ + size_) IdAt(shard, bytes, i, first);
    }
  }

  /// All bytes, or of large data as many blocks of each file as makes about 4,096 of all.
  void AddBytes(const Shard& shard, bool whole, const TokenFilesOptions& options, Hasher& hasher) const {
    constexpr uint64_t kBlock = uint64_t{64} << 10, kBlocks = 4096;
    const uint64_t bytes = shard.count * shard.width, blocks = (bytes + kBlock - 1) / kBlock;
    const uint64_t chosen = whole ? blocks : std::min(blocks, kBlocks / shards_.size() + 1);
    std::vector<std::byte> buffer(kBlock);
    for (uint64_t i = 0; i < chosen; ++i) {
      const uint64_t block = whole ? i : Mix64(Mix64(options.fingerprint.seed) + i) % blocks;
      const std::span<std::byte> part(buffer.data(), std::min(kBlock, bytes - block * kBlock));
      shard.file->ReadAt(shard.header + block * kBlock, part);
      hasher.Add(part);
      if (options.check_ids) CheckIds(shard, part, block * kBlock / shard.width);
    }
  }

  std::vector<Shard> shards_;
  const int32_t vocabulary_;
  uint64_t begin_ = 0, size_ = 0, fingerprint_ = 0;
};

}  // namespace

std::unique_ptr<TokenSource> OpenTokenFiles(const std::vector<std::string>& paths, const std::string& field,
                                            const TokenFilesOptions& options) {
  if (paths.empty()) throw Error(ErrorKind::kUsage, "no file is named", field + ".files", "set it in the recipe");
  std::vector<Shard> shards;
  for (const std::string& path : paths) shards.push_back(OpenShard(path, field, options));
  return std::make_unique<FileTokens>(std::move(shards), options);
}

}  // namespace lockstep::data
