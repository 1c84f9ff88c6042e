#include "data/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>

#include "data/file_kind.h"

namespace lockstep::data {
namespace {

std::string AgainHint(const Origin& origin) {
  return fmt::format("copy or download it again; it is named by {}", origin.field);
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

/// What libarchive's filters make of the bytes.
std::vector<std::byte> Filtered(std::span<const std::byte> packed, const Origin& origin) {
  const std::unique_ptr<archive, decltype(&archive_read_free)> handle(archive_read_new(), &archive_read_free);
  CHECK(handle != nullptr, "libarchive is out of memory");
  archive_read_support_format_raw(handle.get());
  archive_read_support_filter_xz(handle.get());
  archive_read_support_filter_zstd(handle.get());
  archive_read_support_filter_bzip2(handle.get());
  const auto require = [&](int result) {
    if (result == ARCHIVE_OK) return;
    const char* const why = archive_error_string(handle.get());
    throw origin.Bad(
        fmt::format("the packed data are cut off or damaged ({})", why == nullptr ? "no reason given" : why),
        AgainHint(origin));
  };
  archive_entry* entry = nullptr;
  require(archive_read_open_memory(handle.get(), packed.data(), packed.size()));
  const int first = archive_read_next_header(handle.get(), &entry);
  std::vector<std::byte> bytes;
  if (first == ARCHIVE_EOF) return bytes;  // nothing was packed
  require(first);
  for (;;) {
    const void* block = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int result = archive_read_data_block(handle.get(), &block, &size, &offset);
    if (result == ARCHIVE_EOF) break;
    require(result);
    const auto* begin = static_cast<const std::byte*>(block);
    bytes.insert(bytes.end(), begin, begin + size);
  }
  bytes.shrink_to_fit();
  return bytes;
}

}  // namespace

bool IsPacked(std::span<const std::byte> bytes) {
  const FileKind* const kind = KindOf(bytes);
  return IsGzip(bytes) || (kind != nullptr && kind->packed);
}

std::vector<std::byte> UnpackFile(std::span<const std::byte> packed, const Origin& origin) {
  return IsGzip(packed) ? Gunzip(packed, origin) : Filtered(packed, origin);
}

bool IsGzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

std::vector<std::byte> Gunzip(std::span<const std::byte> packed, const Origin& origin) {
  const std::string again = AgainHint(origin);
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

}  // namespace lockstep::data
