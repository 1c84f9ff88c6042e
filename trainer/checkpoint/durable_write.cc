#include "trainer/checkpoint/durable_write.h"

#include <filesystem>
#include <memory>

namespace lockstep::checkpoint {
namespace {

std::string TemporaryOf(const std::string& path) { return path + std::string(kTemporarySuffix); }

}  // namespace

void WriteDurably(FileSystem& files, const std::string& path, const std::function<void(WritableFile&)>& write) {
  const std::string temporary = TemporaryOf(path);
  try {
    const std::unique_ptr<WritableFile> file = files.Create(temporary);
    write(*file);
    file->Sync();
    file->Close();
    files.Rename(temporary, path);
  } catch (const Error&) {
    try {
      files.RemoveAll(temporary);
    } catch (const Error&) {
      // The first failure is the one to report.
    }
    throw;
  }
  files.SyncFolder(ParentOf(path));
}

void WritePartDurably(FileSystem& files, const std::string& path, uint64_t offset,
                      const std::function<void(WritableFile&)>& write) {
  const std::unique_ptr<WritableFile> file = files.OpenAt(TemporaryOf(path), offset);
  write(*file);
  file->Sync();
  file->Close();
}

void NameParts(FileSystem& files, const std::string& path) { files.Rename(TemporaryOf(path), path); }

std::string ParentOf(const std::string& path) {
  std::filesystem::path p(path);
  if (!p.has_filename()) p = p.parent_path();
  const std::string parent = p.parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace lockstep::checkpoint
