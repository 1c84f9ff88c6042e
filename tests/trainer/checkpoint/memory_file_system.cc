#include "tests/trainer/checkpoint/memory_file_system.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace lockstep::checkpoint {
namespace {

bool IsInside(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

template <typename Names>
void EraseTree(Names& names, const std::string& path) {
  std::erase_if(names, [&](const auto& name) { return name.first == path || IsInside(name.first, path); });
}

template <typename Names>
void MoveTree(Names& names, const std::string& from, const std::string& to) {
  Names moved;
  for (auto it = names.begin(); it != names.end();) {
    if (!IsInside(it->first, from)) {
      ++it;
      continue;
    }
    moved[to + it->first.substr(from.size())] = it->second;
    it = names.erase(it);
  }
  names.merge(moved);
}

}  // namespace

class MemoryFileSystem::Writer : public WritableFile {
 public:
  Writer(std::shared_ptr<Content> content, size_t offset)
      : content_(std::move(content)), begin_(offset), end_(offset) {}
  void Append(std::span<const std::byte> bytes) override {
    Put(content_->bytes, end_, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    end_ += bytes.size();
  }
  void Sync() override {
    Put(content_->durable, begin_, std::string_view(content_->bytes).substr(begin_, end_ - begin_));
  }
  void Close() override {}

 private:
  static void Put(std::string& bytes, size_t at, std::string_view part) {
    bytes.resize(std::max(bytes.size(), at + part.size()));
    part.copy(bytes.data() + at, part.size());
  }

  std::shared_ptr<Content> content_;
  size_t begin_, end_;
};

class MemoryFileSystem::Reading : public ReadableFile {
 public:
  Reading(std::string path, std::shared_ptr<Content> content, std::shared_ptr<uint64_t> bytes_read)
      : path_(std::move(path)), content_(std::move(content)), bytes_read_(std::move(bytes_read)) {}
  uint64_t size() const override { return content_->bytes.size(); }
  void ReadAt(uint64_t offset, std::span<std::byte> bytes) const override {
    if (offset > size() || bytes.size() > size() - offset) throw Error(ErrorKind::kData, "ends too early", path_);
    if (!bytes.empty()) std::memcpy(bytes.data(), content_->bytes.data() + offset, bytes.size());
    *bytes_read_ += bytes.size();
  }

 private:
  std::string path_;
  std::shared_ptr<Content> content_;
  std::shared_ptr<uint64_t> bytes_read_;
};

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::Crash(Survives survives) const {
  auto left = std::make_unique<MemoryFileSystem>();
  left->folders_ = folders_;
  for (const auto& [path, content] : survives == Survives::kDurable ? durable_names_ : files_) {
    const std::string& bytes = survives == Survives::kAll ? content->bytes : content->durable;
    left->files_[path] = std::make_shared<Content>(Content{bytes, bytes});
    left->durable_names_[path] = left->files_[path];
  }
  return left;
}

std::vector<std::string> MemoryFileSystem::Paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, content] : files_) paths.push_back(path);
  return paths;
}

std::unique_ptr<WritableFile> MemoryFileSystem::Create(const std::string& path) {
  if (!folders_.contains(FolderOf(path))) throw Error(ErrorKind::kUsage, "no such folder", path);
  return std::make_unique<Writer>(files_[path] = std::make_shared<Content>(), 0);
}

std::unique_ptr<WritableFile> MemoryFileSystem::OpenAt(const std::string& path, uint64_t offset) {
  if (!files_.contains(path)) Create(path);
  return std::make_unique<Writer>(files_.at(path), static_cast<size_t>(offset));
}

std::unique_ptr<ReadableFile> MemoryFileSystem::Open(const std::string& path) {
  const auto found = files_.find(path);
  if (found == files_.end()) throw Error(ErrorKind::kUsage, "can't open: no such file", path);
  return std::make_unique<Reading>(path, found->second, bytes_read_);
}

bool MemoryFileSystem::Exists(const std::string& path) { return files_.contains(path) || folders_.contains(path); }

std::vector<std::string> MemoryFileSystem::List(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& [path, content] : files_)
    if (FolderOf(path) == folder) names.insert(path.substr(folder.size() + 1));
  for (const std::string& path : folders_)
    if (FolderOf(path) == folder) names.insert(path.substr(folder.size() + 1));
  return {names.begin(), names.end()};
}

void MemoryFileSystem::CreateFolders(const std::string& path) {
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    folders_.insert(path.substr(0, slash));
  folders_.insert(path);
}

void MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  if (files_.contains(from)) {
    files_[to] = files_.at(from);
    files_.erase(from);
    return;
  }
  if (!folders_.contains(from)) throw Error(ErrorKind::kUsage, "can't rename: no such file", from);
  MoveTree(files_, from, to);
  MoveTree(durable_names_, from, to);
  folders_.erase(from);
  folders_.insert(to);
}

bool MemoryFileSystem::RenameNew(const std::string& from, const std::string& to) {
  if (Exists(to)) return false;
  Rename(from, to);
  return true;
}

void MemoryFileSystem::RemoveAll(const std::string& path) {
  EraseTree(files_, path);
  if (!folders_.contains(path)) return;
  EraseTree(durable_names_, path);
  std::erase_if(folders_, [&](const std::string& folder) { return folder == path || IsInside(folder, path); });
}

void MemoryFileSystem::SyncFolder(const std::string& path) {
  if (!folders_.contains(path)) throw Error(ErrorKind::kUsage, "no such folder", path);
  std::erase_if(durable_names_, [&](const auto& name) { return FolderOf(name.first) == path; });
  for (const auto& [file, content] : files_)
    if (FolderOf(file) == path) durable_names_[file] = content;
}

}  // namespace lockstep::checkpoint
