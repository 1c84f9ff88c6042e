#include "data/pictures/archive_index.h"

#include <sys/stat.h>

#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "data/pictures/stored_lists.h"
#include "data/pictures/tar_members.h"

namespace lockstep::data {
namespace {

/// WebDataset's key: the path up to the first dot of the file's name.
std::string KeyOf(const std::string& name) {
  const size_t slash = name.rfind('/'), begin = slash == std::string::npos ? 0 : slash + 1;
  return name.substr(0, std::min(name.find('.', begin), name.size()));
}

/// The text of a class, without blanks at its ends.
std::string ReadClass(const ReadableFile& file, const TarMember& member, const Origin& origin) {
  constexpr uint64_t kMost = 4096;
  if (member.size > kMost) throw origin.Bad(fmt::format("{} is too long for the name of a class", member.name));
  std::string text(member.size, '\0');
  file.ReadAt(member.offset, std::as_writable_bytes(std::span(text)));
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) throw origin.Bad(fmt::format("{} is empty", member.name), "it holds the class");
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

void StoreArchive(const ArchiveIndex& index, StoredArchive& stored) {
  stored.set_archive_bytes(index.archive_bytes);
  StoreList(index.list, *stored.mutable_list());
  stored.mutable_offsets()->Assign(index.offsets.begin(), index.offsets.end());
  stored.mutable_sizes()->Assign(index.sizes.begin(), index.sizes.end());
}

/// Nothing where it doesn't fit an archive of this size.
std::optional<ArchiveIndex> Restore(const StoredArchive& stored, uint64_t archive_bytes) {
  std::optional<PictureList> list = RestoreList(stored.list());
  if (!list || list->names.size() == 0 || stored.archive_bytes() != archive_bytes) return std::nullopt;
  const auto count = static_cast<int>(list->names.size());
  if (stored.offsets_size() != count || stored.sizes_size() != count) return std::nullopt;
  for (int i = 0; i < count; ++i) {
    if (stored.offsets(i) < kTarBlock || stored.offsets(i) > archive_bytes ||
        stored.sizes(i) > archive_bytes - stored.offsets(i))
      return std::nullopt;
  }
  ArchiveIndex index;
  index.list = std::move(*list);
  index.offsets.assign(stored.offsets().begin(), stored.offsets().end());
  index.sizes.assign(stored.sizes().begin(), stored.sizes().end());
  index.archive_bytes = archive_bytes;
  return index;
}

/// What tells an archive from the one that a kept index was made of.
StoredDirectory StateOfFile(const std::string& path) {
  StoredDirectory state;
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return state;
  constexpr int64_t kSecond = 1'000'000'000;
  state.set_path(path);
  state.set_device(status.st_dev);
  state.set_inode(status.st_ino);
  state.set_changed_ns(status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec);
  state.set_status_ns(status.st_ctim.tv_sec * kSecond + status.st_ctim.tv_nsec);
  return state;
}

}  // namespace

ArchiveIndex IndexArchive(const ReadableFile& file, const Origin& origin) {
  ArchiveIndex index;
  std::vector<std::string> keys;  // of the pictures
  std::unordered_map<std::string, std::string> classes;
  VisitTar(file, origin, [&](const TarMember& member) {
    if (ExtensionOf(member.name) == ".cls") {
      classes[KeyOf(member.name)] = ReadClass(file, member, origin);
    } else if (IsPictureName(member.name)) {
      index.list.names.Add(member.name);
      keys.push_back(KeyOf(member.name));
      index.offsets.push_back(member.offset);
      index.sizes.push_back(member.size);
    }
  });
  constexpr char kLayout[] = "each picture NAME.jpg or NAME.png has its class beside it, in NAME.cls";
  if (keys.empty()) throw origin.Bad("there is no picture in the archive", kLayout);
  std::vector<std::string> class_of_each;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto found = classes.find(keys[i]);
    if (found == classes.end()) throw origin.Bad(fmt::format("{} has no class", index.list.names[i]), kLayout);
    class_of_each.push_back(found->second);
  }
  NumberClasses(class_of_each, index.list);
  index.archive_bytes = file.size();
  return index;
}

ArchiveIndex FindIndex(const ReadableFile& file, const Origin& origin) {
  StoredArchive stored;
  if (ReadStored(origin.path + ".index", stored)) {
    if (std::optional<ArchiveIndex> index = Restore(stored, file.size())) return std::move(*index);
    LogNote("{}.index doesn't fit its archive, which is read instead", origin.path);
  }
  const std::string kept = CacheFileOf(origin.path, "index");
  const StoredDirectory state = StateOfFile(origin.path);
  if (!kept.empty() && ReadStored(kept, stored) && stored.state().SerializeAsString() == state.SerializeAsString()) {
    if (std::optional<ArchiveIndex> index = Restore(stored, file.size())) return std::move(*index);
  }
  ArchiveIndex index = IndexArchive(file, origin);
  if (kept.empty()) return index;
  try {
    stored.Clear();
    StoreArchive(index, stored);
    *stored.mutable_state() = state;
    WriteStored(kept, stored);
  } catch (const Error& error) {
    LogInfo("the archive's index can't be kept: {}", error.what());
  }
  return index;
}

void WriteIndex(const std::string& archive, const ArchiveIndex& index) {
  StoredArchive stored;
  StoreArchive(index, stored);
  WriteStored(archive + ".index", stored);
}

}  // namespace lockstep::data
