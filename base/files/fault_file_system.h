// A file system that fails, cuts short or kills the process at a chosen operation, so that tests can try every such
// moment.
//
//   FaultFileSystem counting(FileSystem::Real());
//   WriteCheckpoint(counting);                                      // how many operations are there?
//   for (int k = 1; k <= counting.count(); ++k)                     // one after the other, each may fail
//     FaultFileSystem failing(FileSystem::Real(), {.at = k, .fault = Fault::kFail});
//
// Operations that change something and those that read are counted apart, in the order in which they start. Thread-safe
// as its files' owners are: several threads may use one file system, one thread at a time a file.
#pragma once

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "base/mutex.h"

namespace lockstep {

enum class FileOperation {
  kAny,      ///< of those that change something
  kAnyRead,  ///< of those that read
  kCreateFolders,
  kCreate,  ///< OpenAt too
  kAppend,
  kSync,
  kClose,
  kRename,
  kRenameNew,
  kRemove,
  kSyncFolder,
  kOpen,
  kRead,
  kExists,
  kList,
};
const char* Name(FileOperation operation);

enum class Fault {
  kNone,
  kFail,            ///< nothing happens, and an Error says so (a file is closed all the same)
  kShorten,         ///< the first half of an append is written, then an Error; for other operations as kFail
  kKill,            ///< SIGKILL before the operation
  kShortenAndKill,  ///< the first half of an append is written, then SIGKILL; for other operations as kKill
};

struct FaultPlan {
  FileOperation operation = FileOperation::kAny;  ///< of which kind operations are counted
  int at = 0;                                     ///< the operation that fails, from 1; 0: none
  Fault fault = Fault::kNone;
  bool and_after = false;      ///< all later operations of the kind fail too: a disk that stays full
  int error_number = EIO;      ///< errno of the Error
  std::string path_part = "";  ///< counts only paths that contain it
};

class FaultFileSystem : public FileSystem {
 public:
  /// `files` must outlive this.
  explicit FaultFileSystem(FileSystem& files, FaultPlan plan = {}) : files_(files), plan_(std::move(plan)) {}

  struct Record {
    FileOperation operation;
    std::string path;
    friend bool operator==(const Record&, const Record&) = default;
  };
  /// All operations that change something so far, whatever the plan counts.
  std::vector<Record> records() const;
  /// How many operations the plan has counted so far.
  int count() const;

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
  class File;
  class OpenFile;

  /// Counts the operation; returns what must happen to it.
  Fault Count(FileOperation operation, const std::string& path);
  /// Counts an operation that can't be cut short; throws or kills where the plan says so.
  void Pass(FileOperation operation, const std::string& path);
  Error Failure(FileOperation operation, const std::string& path) const;

  FileSystem& files_;
  const FaultPlan plan_;
  mutable Mutex mutex_;
  int count_ GUARDED_BY(mutex_) = 0;
  std::vector<Record> records_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
