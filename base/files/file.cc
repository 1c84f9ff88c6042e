#include "base/files/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/memory.h"

namespace lockstep {
namespace {

/// An owned file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  /// False, with errno, where the system reports an error at the end; the descriptor is gone in any case.
  bool Close() { return ::close(std::exchange(fd_, -1)) == 0 || errno == EINTR; }

 private:
  int fd_;
};

int OpenRetrying(const std::string& path, int flags) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// Large files go past the page cache (O_DIRECT), through a buffer: that is twice as fast and asks little of a core, is
// not held up by what others have written, and leaves the memory to who trains beside. File systems without it, and the
// odd ends, get ordinary writes.
constexpr uint64_t kLargeFile = uint64_t{4} << 20;
constexpr size_t kDirectBytes = size_t{8} << 20;
constexpr size_t kDirectAlignment = kBufferAlignment;

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, int fd, uint64_t offset)
      : path_(std::move(path)), file_(fd), begin_(offset), end_(offset) {}

  void Append(std::span<const std::byte> bytes) override {
    CHECK(file_.is_open(), "{} is closed", path_);
    if (!direct_ && end_ - begin_ >= kLargeFile) OpenDirect();
    while (!bytes.empty()) {
      const bool direct = direct_ && direct_->is_open();
      const size_t odd = staged_ == 0 ? (kDirectAlignment - end_ % kDirectAlignment) % kDirectAlignment : 0;
      if (!direct || odd > 0) {
        const auto part = direct ? bytes.first(std::min(odd, bytes.size())) : bytes;
        Write(part);
        bytes = bytes.subspan(part.size());
        continue;
      }
      const auto part = bytes.first(std::min(staging_.size() - staged_, bytes.size()));
      std::memcpy(staging_.data() + staged_, part.data(), part.size());
      staged_ += part.size();
      bytes = bytes.subspan(part.size());
      if (staged_ == staging_.size()) Flush();
    }
  }

  void Sync() override {
    CHECK(file_.is_open(), "{} is closed", path_);
    Flush();
    if (::fsync(file_.get()) != 0) throw FileError(errno, "can't make it durable", path_);
  }

  void Close() override {
    CHECK(file_.is_open(), "{} is closed", path_);
    Flush();
    if (direct_ && direct_->is_open() && !direct_->Close()) throw FileError(errno, "can't finish writing", path_);
    if (!file_.Close()) throw FileError(errno, "can't finish writing", path_);
  }

 private:
  /// Where that can't be had, direct_ is not open.
  void OpenDirect() {
    direct_.emplace(OpenRetrying(path_, O_WRONLY | O_DIRECT));
    if (direct_->is_open()) staging_ = Buffer(kDirectBytes);
  }

  /// Writes what is staged: its whole blocks directly, its odd end not.
  void Flush() {
    if (staged_ == 0) return;
    const std::span<const std::byte> staged(staging_.data(), std::exchange(staged_, 0));
    Write(staged.subspan(WriteDirectly(staged.first(staged.size() / kDirectAlignment * kDirectAlignment))));
  }

  /// How much of `blocks` was written; not all where the file system wants it otherwise, after all.
  size_t WriteDirectly(std::span<const std::byte> blocks) {
    size_t done = 0;
    while (done < blocks.size() && done % kDirectAlignment == 0) {
      const ssize_t written =
          ::pwrite(direct_->get(), blocks.data() + done, blocks.size() - done, static_cast<off_t>(end_));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && errno == EINVAL) break;
      if (written < 0) throw FileError(errno, "can't write", path_);
      done += static_cast<size_t>(written);
      end_ += static_cast<uint64_t>(written);
    }
    if (done < blocks.size()) direct_->Close();
    return done;
  }

  void Write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(end_));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw FileError(errno, "can't write", path_);
      bytes = bytes.subspan(static_cast<size_t>(written));
      end_ += static_cast<uint64_t>(written);
    }
  }

  const std::string path_;
  Descriptor file_;
  std::optional<Descriptor> direct_;  ///< of a large file
  const uint64_t begin_;
  uint64_t end_;  ///< of what is written, which staged bytes come behind
  Buffer staging_;
  size_t staged_ = 0;
};

class PosixReadableFile : public ReadableFile {
 public:
  // Without O_NONBLOCK a pipe that nobody writes to would be waited for; of regular files it changes nothing.
  explicit PosixReadableFile(const std::string& path) : path_(path), file_(OpenRetrying(path, O_RDONLY | O_NONBLOCK)) {
    struct stat status;
    if (!file_.is_open() || ::fstat(file_.get(), &status) != 0) throw FileError(errno, "can't open", path_);
    if (S_ISDIR(status.st_mode)) throw FileError(EISDIR, "can't open", path_);
    if (!S_ISREG(status.st_mode))  // its size says nothing: it would seem to be empty
      throw Error(ErrorKind::kUsage, "is a pipe or a device, and only files can be read here", path_,
                  "write it to a file first");
    size_ = static_cast<uint64_t>(status.st_size);
  }

  uint64_t size() const override { return size_; }

  void ReadAt(uint64_t offset, std::span<std::byte> bytes) const override {
    while (!bytes.empty()) {
      const ssize_t got = ::pread(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw FileError(errno, "can't read", path_);
      if (got == 0) {
        throw Error(ErrorKind::kData, fmt::format("ends at byte {}, {} bytes too early", offset, bytes.size()), path_,
                    "the file is cut off: copy or write it again");
      }
      offset += static_cast<uint64_t>(got);
      bytes = bytes.subspan(static_cast<size_t>(got));
    }
  }

 private:
  const std::string path_;
  Descriptor file_;
  uint64_t size_ = 0;
};

bool IsFolder(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool SameFile(const std::string& a, const std::string& b) {
  struct stat status_a, status_b;
  return ::stat(a.c_str(), &status_a) == 0 && ::stat(b.c_str(), &status_b) == 0 && status_a.st_dev == status_b.st_dev &&
         status_a.st_ino == status_b.st_ino;
}

class PosixFileSystem : public FileSystem {
 public:
  std::unique_ptr<WritableFile> Create(const std::string& path) override {
    const int fd = OpenRetrying(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0) throw FileError(errno, "can't create", path);
    return std::make_unique<PosixWritableFile>(path, fd, 0);
  }

  std::unique_ptr<WritableFile> OpenAt(const std::string& path, uint64_t offset) override {
    const int fd = OpenRetrying(path, O_WRONLY | O_CREAT);
    if (fd < 0) throw FileError(errno, "can't create", path);
    return std::make_unique<PosixWritableFile>(path, fd, offset);
  }

  std::unique_ptr<ReadableFile> Open(const std::string& path) override {
    return std::make_unique<PosixReadableFile>(path);
  }

  bool Exists(const std::string& path) override {
    struct stat status;
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno != ENOENT && errno != ENOTDIR) throw FileError(errno, "can't look for it", path);
    return false;
  }

  std::vector<std::string> List(const std::string& folder) override {
    struct CloseFolder {
      void operator()(DIR* dir) const { ::closedir(dir); }
    };
    const std::unique_ptr<DIR, CloseFolder> dir(::opendir(folder.c_str()));
    if (!dir && errno == ENOENT) return {};
    if (!dir) throw FileError(errno, "can't list the folder", folder);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr && errno != 0) throw FileError(errno, "can't list the folder", folder);
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  void CreateFolders(const std::string& path) override {
    // Looking first: mkdir of a folder that is there may be refused for other reasons (a read-only or automounted
    // parent).
    if (path.empty() || IsFolder(path)) return;
    const std::string parent = ParentFolder(path);
    if (parent != path) CreateFolders(parent);
    if (::mkdir(path.c_str(), 0777) == 0) return;
    const int reason = errno;
    if (!IsFolder(path)) throw FileError(reason, "can't create the folder", path);  // another rank may have been faster
  }

  void Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) throw FileError(errno, fmt::format("can't rename to {}", to), from);
  }

  bool RenameNew(const std::string& from, const std::string& to) override {
    // link(2) is exclusive on NFS too, where O_EXCL and renameat2 are not to be had everywhere.
    if (::link(from.c_str(), to.c_str()) == 0) {
      RemoveAll(from);
      return true;
    }
    const int reason = errno;
    if (reason == EEXIST) {
      // An NFS server that is asked twice, because its first answer was lost, says that the link is there: it is ours.
      if (!SameFile(from, to)) return false;
      RemoveAll(from);
      return true;
    }
    if (reason != EPERM && reason != EOPNOTSUPP && reason != ENOSYS)
      throw FileError(reason, fmt::format("can't link it to {}", to), from);
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno == EEXIST || Exists(to)) return false;
    Rename(from, to);
    return true;
  }

  void RemoveAll(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error && error.value() != ENOENT && error.value() != ENOTDIR)
      throw FileError(error.value(), "can't remove", path);
  }

  void SyncFolder(const std::string& path) override {
    const Descriptor folder(OpenRetrying(path, O_RDONLY | O_DIRECTORY));
    if (!folder.is_open()) throw FileError(errno, "can't open the folder", path);
    // EINVAL: a file system (FUSE, some network ones) that has no notion of it; its renames are as durable as it makes
    // them.
    if (::fsync(folder.get()) != 0 && errno != EINVAL) throw FileError(errno, "can't make the folder durable", path);
  }
};

}  // namespace

std::string ParentFolder(const std::string& path) {
  std::filesystem::path p(path);
  if (!p.has_filename()) p = p.parent_path();
  const std::string parent = p.parent_path().string();
  return parent.empty() ? "." : parent;
}

FileSystem& FileSystem::Real() {
  static PosixFileSystem files;
  return files;
}

std::string ReadWholeFile(FileSystem& files, const std::string& path) {
  const std::unique_ptr<ReadableFile> file = files.Open(path);
  std::string bytes(file->size(), '\0');
  file->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace lockstep
