// Files as checkpoints need them: an interface and the real one. In a test fault_file_system.h has one that fails where
// it says.
//
// All functions throw Error on failure, with the path as its place and the system's reason in words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lockstep {

/// A file open for writing. Not thread-safe. What was appended is in the file after Sync or Close. The destructor
/// closes without a word; call Close to learn of errors.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void Append(std::span<const std::byte> bytes) = 0;
  /// Makes what was appended durable (fsync).
  virtual void Sync() = 0;
  virtual void Close() = 0;
};

/// A file open for reading at any place. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual uint64_t size() const = 0;
  /// Fills `bytes` from `offset`; a file that ends before is an error.
  virtual void ReadAt(uint64_t offset, std::span<std::byte> bytes) const = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual std::unique_ptr<WritableFile> Create(const std::string& path) = 0;  ///< truncates
  /// Appends go to byte `offset` and on; what else the file holds stays. Creates it where it is missing. Several may
  /// write different parts of one file at the same moment, on any hosts: apart by whole pages, for the sake of NFS.
  virtual std::unique_ptr<WritableFile> OpenAt(const std::string& path, uint64_t offset) = 0;
  virtual std::unique_ptr<ReadableFile> Open(const std::string& path) = 0;
  virtual bool Exists(const std::string& path) = 0;
  virtual std::vector<std::string> List(const std::string& folder) = 0;  ///< names, sorted; empty where it is missing
  virtual void CreateFolders(const std::string& path) = 0;
  virtual void Rename(const std::string& from, const std::string& to) = 0;
  /// Renames the file `from` unless there is a `to`: false then, and `from` stays. Of several that do this at the same
  /// moment, on any hosts, one wins. (Where the file system has neither hard links nor such a rename, two may.)
  virtual bool RenameNew(const std::string& from, const std::string& to) = 0;
  virtual void RemoveAll(const std::string& path) = 0;  ///< a missing path is no error
  virtual void SyncFolder(const std::string& path) = 0;

  /// The real one.
  static FileSystem& Real();
};

/// The folder that `path` lies in: "." where it is a bare name.
std::string ParentFolder(const std::string& path);

std::string ReadWholeFile(FileSystem& files, const std::string& path);

}  // namespace lockstep
