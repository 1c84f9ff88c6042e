#include "trainer/checkpoint/durable_write.h"
#include "base/files/atomic_write.h"

#include <memory>

namespace lockstep::checkpoint {
namespace {

std::string TemporaryOf(const std::string& path) { return path + std::string(kTemporarySuffix); }

}  // namespace

void WritePartDurably(FileSystem& files, const std::string& path, uint64_t offset,
                      const std::function<void(WritableFile&)>& write) {
  const std::unique_ptr<WritableFile> file = files.OpenAt(TemporaryOf(path), offset);
  write(*file);
  file->Sync();
  file->Close();
}

void NameParts(FileSystem& files, const std::string& path) { files.Rename(TemporaryOf(path), path); }

}  // namespace lockstep::checkpoint
