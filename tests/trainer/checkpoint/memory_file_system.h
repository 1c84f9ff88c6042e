// A file system in memory that knows what of it is durable, so that tests can cut the power between any two operations.
//
// A file's bytes are durable after a Sync by who wrote them (no Sync reaches the caches of other hosts), a name after
// SyncFolder of the folder it is in; folders themselves are always durable. `Crash` gives what a machine finds when it
// comes up again.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/files/file.h"

namespace lockstep::checkpoint {

class MemoryFileSystem : public FileSystem {
 public:
  MemoryFileSystem() = default;

  enum class Survives {
    kAll,      ///< the process died, the machine did not
    kDurable,  ///< only what was made durable
    kNames,    ///< names as they were, but of their bytes only what was made durable
  };
  /// What is left after a crash now. The copy shares nothing with this.
  std::unique_ptr<MemoryFileSystem> Crash(Survives survives) const;

  /// The bytes of a file, to be changed at will (and durable as they are). REQUIRES: it is there.
  std::string& Bytes(const std::string& path) { return files_.at(path)->bytes; }
  bool Has(const std::string& path) const { return files_.contains(path); }
  /// Paths of all files.
  std::vector<std::string> Paths() const;
  /// Bytes read so far through files that were opened here.
  uint64_t bytes_read() const { return *bytes_read_; }

  std::unique_ptr<WritableFile> Create(const std::string& path) override;
  std::unique_ptr<WritableFile> OpenAt(const std::string& path, uint64_t offset) override;
  std::unique_ptr<ReadableFile> Open(const std::string& path) override;
  bool Exists(const std::string& path) override;
  std::vector<std::string> List(const std::string& folder) override;
  void CreateFolders(const std::string& path) override;
  void Rename(const std::string& from, const std::string& to) override;
  bool RenameNew(const std::string& from, const std::string& to) override;
  void RemoveAll(const std::string& path) override;
  void SyncFolder(const std::string& path) override;

 private:
  struct Content {
    std::string bytes;
    std::string durable;
  };
  class Writer;
  class Reading;

  std::map<std::string, std::shared_ptr<Content>> files_;
  std::map<std::string, std::shared_ptr<Content>> durable_names_;
  std::set<std::string> folders_;
  std::shared_ptr<uint64_t> bytes_read_ = std::make_shared<uint64_t>(0);
};

}  // namespace lockstep::checkpoint
