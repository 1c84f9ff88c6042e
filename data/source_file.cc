#include "data/source_file.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string_view>

#include "base/files/file.h"

namespace lockstep::data {
namespace {

std::string MissingFileHint(const Origin& origin) {
  const bool packed = origin.path.ends_with(".gz");
  const std::string other = packed ? origin.path.substr(0, origin.path.size() - 3) : origin.path + ".gz";
  if (FileSystem::Real().Exists(other)) return fmt::format("there is {}: use that name", other);
  // Manifests and command lines name files too.
  if (!origin.field.starts_with("data.")) return "get the file, or name another";
  return fmt::format("get the file, or name another with --set {}=FILE", origin.field);
}

/// zlib's stream, released however unpacking ends.
class Inflater {
 public:
  Inflater() {
    constexpr int kLargestWindow = 15, kGzipOnly = 16;
    CHECK(inflateInit2(&stream_, kLargestWindow + kGzipOnly) == Z_OK, "zlib is out of memory");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream* operator->() { return &stream_; }
  z_stream* get() { return &stream_; }

 private:
  z_stream stream_{};
};

/// The unpacked size in the last four bytes, where it is plausible; else a guess. Only a reservation hangs on it.
size_t GuessUnpackedSize(std::span<const std::byte> packed) {
  constexpr size_t kLargestRatio = 1032;  // of deflate
  uint32_t size = 0;
  if (packed.size() >= sizeof(size)) std::memcpy(&size, packed.data() + packed.size() - sizeof(size), sizeof(size));
  const size_t guess = size / kLargestRatio <= packed.size() ? size_t{size} : packed.size() * 4;
  return std::max<size_t>(guess, 4096);
}

}  // namespace

Error Origin::Bad(std::string message, std::string hint, const std::string& place) const {
  if (hint.empty()) hint = fmt::format("the file is named by {}", field);
  return Error(ErrorKind::kData, std::move(message), place.empty() ? path : fmt::format("{}:{}", path, place),
               std::move(hint));
}

bool IsGzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

std::vector<std::byte> Gunzip(std::span<const std::byte> packed, const Origin& origin) {
  const std::string again = fmt::format("copy or download it again; it is named by {}", origin.field);
  std::vector<std::byte> bytes(GuessUnpackedSize(packed));
  size_t read = 0, written = 0;
  Inflater inflater;
  for (;;) {
    if (written == bytes.size()) bytes.resize(bytes.size() + bytes.size() / 2);
    // zlib counts in 32 bits: larger files go through in pieces.
    constexpr size_t kPiece = std::numeric_limits<uInt>::max() / 2;
    const size_t in = std::min(packed.size() - read, kPiece), out = std::min(bytes.size() - written, kPiece);
    inflater->next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data() + read));
    inflater->avail_in = static_cast<uInt>(in);
    inflater->next_out = reinterpret_cast<Bytef*>(bytes.data() + written);
    inflater->avail_out = static_cast<uInt>(out);
    const int result = inflate(inflater.get(), Z_NO_FLUSH);
    read += in - inflater->avail_in;
    written += out - inflater->avail_out;

    if (result == Z_STREAM_END) {
      const auto rest = packed.subspan(read);
      if (std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; })) break;
      if (!IsGzip(rest)) throw origin.Bad(fmt::format("{} bytes follow the end of the gzip data", rest.size()), again);
      inflateReset(inflater.get());
    } else if (result == Z_BUF_ERROR || (result == Z_OK && read == packed.size() && inflater->avail_out > 0)) {
      throw origin.Bad(
          fmt::format("the gzip data is cut off: the file ends after {} bytes, in the middle of it", packed.size()),
          again);
    } else if (result != Z_OK) {
      throw origin.Bad(
          fmt::format("the gzip data is damaged ({})", inflater->msg ? inflater->msg : "zlib gives no reason"), again);
    }
  }
  bytes.resize(written);
  bytes.shrink_to_fit();
  return bytes;
}

std::string ResolveDataPath(const std::string& path, const std::string& folder, const std::string& where) {
  constexpr std::string_view kVariable = "$LOCKSTEP_DATA";
  if (path.starts_with(kVariable) && (path.size() == kVariable.size() || path[kVariable.size()] == '/')) {
    const char* data = std::getenv("LOCKSTEP_DATA");
    if (data == nullptr || *data == '\0') {
      throw Error(ErrorKind::kUsage,
                  fmt::format("{} needs the environment variable LOCKSTEP_DATA, which is not set", path), where,
                  "export LOCKSTEP_DATA=FOLDER, the folder that holds the data sets (mpirun: -x LOCKSTEP_DATA)");
    }
    return std::filesystem::absolute(data).lexically_normal().string() + path.substr(kVariable.size());
  }
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::absolute(folder.empty() ? "." : folder) / path).lexically_normal().string();
}

std::vector<std::byte> LoadSourceFile(const Origin& origin) {
  if (!FileSystem::Real().Exists(origin.path)) {
    throw Error(ErrorKind::kData, fmt::format("there is no file {}", origin.path), origin.field,
                MissingFileHint(origin));
  }
  std::error_code ignored;
  const auto type = std::filesystem::status(origin.path, ignored).type();
  // Whose size says nothing: it would seem to be empty.
  if (type == std::filesystem::file_type::fifo || type == std::filesystem::file_type::character)
    throw origin.Bad("is a pipe or a device, but data is read from files", "write it to a file first");
  std::vector<std::byte> bytes;
  try {
    const auto file = FileSystem::Real().Open(origin.path);
    bytes.resize(file->size());
    file->ReadAt(0, bytes);
  } catch (const Error& error) {
    throw origin.Bad(error.message());
  }
  return IsGzip(bytes) ? Gunzip(bytes, origin) : bytes;
}

}  // namespace lockstep::data
