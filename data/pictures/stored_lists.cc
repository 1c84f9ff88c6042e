#include "data/pictures/stored_lists.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"

namespace lockstep::data {
namespace {

constexpr std::string_view kMagic = "LSPICS1\n";

}  // namespace

void StoreList(const PictureList& list, StoredList& stored) {
  stored.set_names(std::string(list.names.text()));
  stored.mutable_ends()->Assign(list.names.ends().begin(), list.names.ends().end());
  stored.mutable_classes()->Assign(list.classes.begin(), list.classes.end());
  for (const std::string& name : list.class_names) stored.add_class_names(name);
}

std::optional<PictureList> RestoreList(const StoredList& stored) {
  PictureList list;
  if (stored.ends_size() != stored.classes_size()) return std::nullopt;
  uint64_t begin = 0;
  for (const uint64_t end : stored.ends()) {
    if (end < begin || end > stored.names().size()) return std::nullopt;
    list.names.Add(std::string_view(stored.names()).substr(begin, end - begin));
    begin = end;
  }
  for (const int32_t place : stored.classes())
    if (place < 0 || place >= stored.class_names_size()) return std::nullopt;
  list.classes.assign(stored.classes().begin(), stored.classes().end());
  list.class_names.assign(stored.class_names().begin(), stored.class_names().end());
  return list;
}

void WriteStored(const std::string& path, const google::protobuf::MessageLite& message) {
  FileSystem& files = FileSystem::Real();
  files.CreateFolders(ParentFolder(path));
  const std::string content = message.SerializeAsString();
  const uint64_t hash = Hash64(content);
  const std::string unfinished = fmt::format("{}.{}.tmp", path, getpid());
  const auto file = files.Create(unfinished);
  file->Append(std::as_bytes(std::span(kMagic)));
  file->Append(std::as_bytes(std::span(&hash, 1)));
  file->Append(std::as_bytes(std::span(content)));
  file->Close();
  files.Rename(unfinished, path);
}

bool ParseStored(std::string_view bytes, google::protobuf::MessageLite& message) {
  uint64_t hash = 0;
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + sizeof hash) return false;
  std::memcpy(&hash, bytes.data() + kMagic.size(), sizeof hash);
  bytes.remove_prefix(kMagic.size() + sizeof hash);
  constexpr size_t kMost = 0x7FFFFFFF;  // Protobuf's
  return bytes.size() <= kMost && Hash64(bytes) == hash &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

bool ReadStored(const std::string& path, google::protobuf::MessageLite& message) {
  try {
    if (!FileSystem::Real().Exists(path)) return false;
    return ParseStored(ReadWholeFile(FileSystem::Real(), path), message);
  } catch (const Error&) {
    return false;
  }
}

std::string CacheFileOf(const std::string& path, const char* extension) {
  std::string folder;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    folder = cache;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    folder = std::string(home) + "/.cache";
  } else {
    return "";
  }
  return fmt::format("{}/lockstep/pictures-{}.{}", folder, HashText(Hash64(path)), extension);
}

}  // namespace lockstep::data
