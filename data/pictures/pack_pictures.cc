#include "data/pictures/pack_pictures.h"

#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/files/file.h"
#include "data/image/decode_image.h"
#include "data/pictures/archive_index.h"
#include "data/pictures/stores.h"
#include "data/pictures/tar_members.h"
#include "data/pictures/walk_folder.h"

namespace lockstep::data {
namespace {

uint64_t InBlocks(uint64_t bytes) { return (bytes + kTarBlock - 1) / kTarBlock * kTarBlock; }

/// One archive that is being written.
class Writer {
 public:
  Writer(std::string path, const std::vector<std::string>& class_names)
      : path_(std::move(path)), file_(FileSystem::Real().Create(path_)) {
    index_.list.class_names = class_names;
  }

  void AddPicture(const std::string& key, std::span<const std::byte> bytes, int32_t place) {
    const bool png = bytes.front() != std::byte{0xFF};
    const std::string name = key + (png ? ".png" : ".jpg");
    index_.offsets.push_back(at_ + kTarBlock);
    index_.sizes.push_back(bytes.size());
    index_.list.names.Add(name);
    index_.list.classes.push_back(place);
    AddMember(name, bytes);
    const std::string number = fmt::format("{}", place);
    AddMember(key + ".cls", std::as_bytes(std::span(number)));
  }

  /// The end, and the index.
  void Finish() {
    Append(std::vector<std::byte>(2 * kTarBlock));
    file_->Close();
    index_.archive_bytes = at_;
    WriteIndex(path_, index_);
  }
  uint64_t bytes() const { return at_; }
  const std::string& path() const { return path_; }

 private:
  void Append(std::span<const std::byte> bytes) {
    file_->Append(bytes);
    at_ += bytes.size();
  }
  void AddMember(const std::string& name, std::span<const std::byte> bytes) {
    const std::string header = TarHeader(name, bytes.size());
    Append(std::as_bytes(std::span(header)));
    Append(bytes);
    Append(std::vector<std::byte>(InBlocks(bytes.size()) - bytes.size()));
  }

  const std::string path_;
  std::unique_ptr<WritableFile> file_;
  ArchiveIndex index_;
  uint64_t at_ = 0;
};

std::string ArchiveName(const PackOptions& options, size_t i) {
  if (options.archive_bytes == 0) return options.archive;
  const std::string stem =
      options.archive.ends_with(".tar") ? options.archive.substr(0, options.archive.size() - 4) : options.archive;
  return fmt::format("{}-{:05}.tar", stem, i);
}

}  // namespace

PackedResult PackPictures(const PackOptions& options) {
  WalkedFolder walked = WalkFolder(options.folder, "FOLDER", options.on_broken);
  const std::vector<int32_t> classes = std::move(walked.list.classes);
  const std::vector<std::string> class_names = std::move(walked.list.class_names);
  const auto store = MakeFileStore(options.folder, std::move(walked.list.names));
  PackedResult result{.classes = static_cast<int>(class_names.size())};
  std::optional<Writer> writer;
  std::vector<std::byte> bytes;
  const auto finish = [&] {
    writer->Finish();
    result.bytes += writer->bytes();
    result.archives.push_back(writer->path());
  };
  for (uint64_t id = 0; id < store->size(); ++id) {
    try {
      store->Read(id, bytes);
      ReadImageHeader(bytes, {store->Path(id), "FOLDER"});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      Report(options.on_broken, error);
      continue;
    }
    constexpr uint64_t kOthers = 5 * kTarBlock;  // headers, the class, the end
    if (writer && options.archive_bytes > 0 &&
        writer->bytes() + InBlocks(bytes.size()) + kOthers > options.archive_bytes) {
      finish();
      writer.reset();
    }
    if (!writer) writer.emplace(ArchiveName(options, result.archives.size()), class_names);
    writer->AddPicture(fmt::format("{:08}", result.pictures++), bytes, classes[id]);
  }
  if (!writer) throw Error(ErrorKind::kData, "there is no picture in it that can be read", options.folder, "see above");
  finish();
  return result;
}

}  // namespace lockstep::data
