#include "base/files/atomic_write.h"

#include <unistd.h>

#include <atomic>
#include <random>

#include "base/error.h"
#include "base/hash.h"

namespace lockstep {
namespace {

/// Writes a temporary file beside `path`, which `put_in_place` then gives its name.
void WriteAside(FileSystem& files, const std::string& path, Durability durability,
                const std::function<void(WritableFile&)>& write,
                const std::function<void(const std::string& temporary)>& put_in_place) {
  const std::string temporary = TemporaryName(path);
  try {
    const std::unique_ptr<WritableFile> file = files.Create(temporary);
    write(*file);
    if (durability == Durability::kMachine) file->Sync();
    file->Close();
    put_in_place(temporary);
  } catch (...) {
    try {
      files.RemoveAll(temporary);
    } catch (const Error&) {  // what made the write fail may well forbid this; the next start clears it up
    }
    throw;
  }
  if (durability == Durability::kMachine) files.SyncFolder(ParentFolder(path));
}

}  // namespace

std::string TemporaryName(const std::string& path) {
  // Processes of one host differ by the random number too, should they be forks of one.
  static const uint64_t drawn = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  static std::atomic<uint64_t> count{0};
  Hasher hasher;
  hasher.AddInteger(drawn);
  hasher.AddInteger(static_cast<uint64_t>(::getpid()));
  hasher.AddInteger(count++);
  return path + "." + HashText(hasher.Digest()) + std::string(kTemporarySuffix);
}

bool IsTemporaryOf(std::string_view name, std::string_view target) {
  constexpr size_t kUnique = 1 + 16;
  if (!name.starts_with(target) || !name.ends_with(kTemporarySuffix)) return false;
  const std::string_view unique = name.substr(target.size());
  return unique == kTemporarySuffix ||  // of older versions
         (unique.size() == kUnique + kTemporarySuffix.size() && unique.front() == '.' &&
          unique.substr(1, kUnique - 1).find_first_not_of("0123456789abcdef") == std::string_view::npos);
}

void WriteAtomically(FileSystem& files, const std::string& path, Durability durability,
                     const std::function<void(WritableFile&)>& write) {
  WriteAside(files, path, durability, write, [&](const std::string& temporary) { files.Rename(temporary, path); });
}

void WriteFileAtomically(FileSystem& files, const std::string& path, std::string_view bytes) {
  WriteAtomically(files, path, Durability::kMachine,
                  [&](WritableFile& file) { file.Append(std::as_bytes(std::span(bytes))); });
}

bool WriteNewFileAtomically(FileSystem& files, const std::string& path, std::string_view bytes) {
  bool written = false;
  WriteAside(
      files, path, Durability::kMachine, [&](WritableFile& file) { file.Append(std::as_bytes(std::span(bytes))); },
      [&](const std::string& temporary) {
        written = files.RenameNew(temporary, path);
        if (!written) files.RemoveAll(temporary);
      });
  return written;
}

}  // namespace lockstep
