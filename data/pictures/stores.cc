#include "data/pictures/stores.h"

#include <algorithm>

#include "base/error.h"
#include "data/pictures/tar_members.h"

namespace lockstep::data {
namespace {

class FileStore final : public PictureStore {
  /// Names the file in what goes wrong.
  template <typename F>
  auto OfFile(uint64_t id, F&& action) const {
    try {
      return action(*FileSystem::Real().Open(Path(id)));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kMemory) throw;
      throw Error(ErrorKind::kData, error.message(), error.where(), "copy the picture again, or take it out");
    }
  }

 public:
  FileStore(std::string folder, PictureNames names) : folder_(std::move(folder)), names_(std::move(names)) {}

  uint64_t size() const override { return names_.size(); }
  std::string Name(uint64_t id) const override {
    const std::string_view name = names_[id];
    return std::string(name.starts_with('/') ? name.substr(name.rfind('/') + 1) : name);
  }
  std::string Path(uint64_t id) const override {
    const std::string_view name = names_[id];
    return name.starts_with('/') ? std::string(name) : fmt::format("{}/{}", folder_, name);
  }
  uint64_t Bytes(uint64_t id) const override {
    return OfFile(id, [](const ReadableFile& file) { return file.size(); });
  }
  void Read(uint64_t id, std::vector<std::byte>& bytes) const override {
    OfFile(id, [&](const ReadableFile& file) {
      bytes.resize(file.size());
      file.ReadAt(0, bytes);
    });
  }

 private:
  const std::string folder_;
  const PictureNames names_;
};

class ArchiveStore final : public PictureStore {
 public:
  explicit ArchiveStore(std::vector<OpenArchive> archives) : archives_(std::move(archives)) {
    uint64_t end = 0;
    for (const OpenArchive& archive : archives_) ends_.push_back(end += archive.index.offsets.size());
  }

  uint64_t size() const override { return ends_.back(); }
  std::string Name(uint64_t id) const override {
    const auto [archive, at] = Find(id);
    return std::string(archive->index.list.names[at]);
  }
  std::string Path(uint64_t id) const override {
    const auto [archive, at] = Find(id);
    return fmt::format("{}:{}", archive->path, archive->index.list.names[at]);
  }
  uint64_t Bytes(uint64_t id) const override {
    const auto [archive, at] = Find(id);
    return archive->index.sizes[at];
  }

  void Read(uint64_t id, std::vector<std::byte>& bytes) const override {
    const auto [archive, at] = Find(id);
    const uint64_t size = archive->index.sizes[at];
    bytes.resize(kTarBlock + size);
    try {
      archive->file->ReadAt(archive->index.offsets[at] - kTarBlock, bytes);
    } catch (const Error& error) {
      throw Error(ErrorKind::kData, error.message(), Path(id), "copy the archive again");
    }
    if (!IsHeaderOfSize(bytes.data(), size)) {
      throw Error(ErrorKind::kData, "the archive's index says that a picture begins where none does", Path(id),
                  fmt::format("remove {}.index: it is of another archive", archive->path));
    }
    bytes.erase(bytes.begin(), bytes.begin() + kTarBlock);
  }

 private:
  struct Place {
    const OpenArchive* archive;
    size_t at;
  };

  Place Find(uint64_t id) const {
    const auto i = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), id) - ends_.begin());
    return {&archives_[i], static_cast<size_t>(id - (i == 0 ? 0 : ends_[i - 1]))};
  }

  const std::vector<OpenArchive> archives_;
  std::vector<uint64_t> ends_;  ///< by archive: pictures in it and those before it
};

}  // namespace

std::unique_ptr<PictureStore> MakeFileStore(std::string folder, PictureNames names) {
  return std::make_unique<FileStore>(std::move(folder), std::move(names));
}

std::unique_ptr<PictureStore> MakeArchiveStore(std::vector<OpenArchive> archives) {
  CHECK(!archives.empty());
  return std::make_unique<ArchiveStore>(std::move(archives));
}

}  // namespace lockstep::data
