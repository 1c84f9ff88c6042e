#include "data/file_kind.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace lockstep::data {
namespace {

constexpr char kUnpack[] = "unpack it, and name what was in it";

template <size_t kSize>
constexpr FileKind Kind(const char (&magic)[kSize], const char* name, const char* remedy, bool packed = false) {
  return {magic, kSize - 1, name, remedy, packed};
}

/// Of formats' specifications. A magic number of four bytes is that of one raw file of 16-bit ids in four billion.
constexpr std::array kKinds = {
    Kind("\x1f\x8b\x08", "packed by gzip", "unpack it: gzip -dk", true),
    Kind("\xfd"
         "7zXZ\0",
         "packed by xz", "unpack it: xz -dk", true),
    Kind("\x28\xb5\x2f\xfd", "packed by Zstandard", "unpack it: zstd -dk", true),
    Kind("BZh91AY&SY", "packed by bzip2", "unpack it: bzip2 -dk", true),
    Kind("PK\x03\x04", "a zip archive (as are Excel's .xlsx, NumPy's .npz and PyTorch's .pt)", kUnpack),
    Kind("PK\x05\x06", "an empty zip archive", kUnpack),
    Kind("7z\xbc\xaf\x27\x1c", "a 7-Zip archive", kUnpack),
    Kind("Rar!\x1a\x07", "a RAR archive", kUnpack),
    Kind("\x93NUMPY", "a NumPy array (.npy)", "name it by arrays { inputs: } in place of this"),
    Kind("\x89HDF\r\n\x1a\n", "an HDF5 file", "write it as CSV"),
    Kind("PAR1", "a Parquet file", "write it as CSV: pandas.read_parquet(FILE).to_csv(NEW, index=False)"),
    Kind("ARROW1", "an Arrow file", "write it as CSV: pandas.read_feather(FILE).to_csv(NEW, index=False)"),
    Kind("SQLite format 3", "an SQLite database", "write its table as CSV: sqlite3 -csv FILE 'SELECT * FROM TABLE'"),
    Kind("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", "save it as CSV"),
    Kind("%PDF-", "a PDF", "write its text to a file"),
    Kind("\x89PNG\r\n\x1a\n", "a PNG image", "name a file of samples"),
    Kind("\x7f"
         "ELF",
         "a program", "name a file of samples"),
};

}  // namespace

const FileKind* KindOf(std::span<const std::byte> beginning) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [&](const FileKind& kind) {
    return beginning.size() >= kind.size && std::memcmp(beginning.data(), kind.magic, kind.size) == 0;
  });
  return found == kKinds.end() ? nullptr : &*found;
}

bool LooksLikeText(std::span<const std::byte> beginning) {
  constexpr size_t kFewest = 64, kMost = 4096;
  return beginning.size() >= kFewest &&
         std::all_of(beginning.begin(), beginning.begin() + std::min<ptrdiff_t>(std::ssize(beginning), kMost),
                     [](std::byte byte) {
                       const auto c = static_cast<unsigned char>(byte);
                       return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t';
                     });
}

Error WrongKind(const FileKind& kind, const std::string& path) {
  return Error(ErrorKind::kData, std::string("is ") + kind.name, path, kind.remedy);
}

}  // namespace lockstep::data
