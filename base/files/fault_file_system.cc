#include "base/files/fault_file_system.h"

#include <csignal>
#include <utility>

namespace lockstep {
namespace {

[[noreturn]] void KillThisProcess() {
  std::raise(SIGKILL);
  std::abort();
}

bool Reads(FileOperation operation) {
  return operation == FileOperation::kOpen || operation == FileOperation::kRead ||
         operation == FileOperation::kExists || operation == FileOperation::kList;
}

bool Counts(FileOperation wanted, FileOperation operation) {
  if (wanted == FileOperation::kAny) return !Reads(operation);
  if (wanted == FileOperation::kAnyRead) return Reads(operation);
  return wanted == operation;
}

}  // namespace

const char* Name(FileOperation operation) {
  switch (operation) {
    case FileOperation::kAny:
      return "any operation";
    case FileOperation::kAnyRead:
      return "any read";
    case FileOperation::kCreateFolders:
      return "create folders";
    case FileOperation::kCreate:
      return "create";
    case FileOperation::kAppend:
      return "append";
    case FileOperation::kSync:
      return "sync";
    case FileOperation::kClose:
      return "close";
    case FileOperation::kRename:
      return "rename";
    case FileOperation::kRenameNew:
      return "rename to a new name";
    case FileOperation::kRemove:
      return "remove";
    case FileOperation::kSyncFolder:
      return "sync folder";
    case FileOperation::kOpen:
      return "open";
    case FileOperation::kRead:
      return "read";
    case FileOperation::kExists:
      return "look for it";
    case FileOperation::kList:
      return "list the folder";
  }
  return "?";
}

class FaultFileSystem::File : public WritableFile {
 public:
  File(FaultFileSystem& owner, std::string path, std::unique_ptr<WritableFile> file)
      : owner_(owner), path_(std::move(path)), file_(std::move(file)) {}

  void Append(std::span<const std::byte> bytes) override {
    const Fault fault = owner_.Count(FileOperation::kAppend, path_);
    if (fault == Fault::kKill) KillThisProcess();
    if (fault == Fault::kShorten || fault == Fault::kShortenAndKill) file_->Append(bytes.first(bytes.size() / 2));
    if (fault == Fault::kShortenAndKill) KillThisProcess();
    if (fault != Fault::kNone) throw owner_.Failure(FileOperation::kAppend, path_);
    file_->Append(bytes);
  }

  void Sync() override {
    owner_.Pass(FileOperation::kSync, path_);
    file_->Sync();
  }

  void Close() override {
    try {
      owner_.Pass(FileOperation::kClose, path_);
    } catch (const Error&) {
      file_->Close();
      throw;
    }
    file_->Close();
  }

 private:
  FaultFileSystem& owner_;
  const std::string path_;
  const std::unique_ptr<WritableFile> file_;
};

class FaultFileSystem::OpenFile : public ReadableFile {
 public:
  OpenFile(FaultFileSystem& owner, std::string path, std::unique_ptr<ReadableFile> file)
      : owner_(owner), path_(std::move(path)), file_(std::move(file)) {}

  uint64_t size() const override { return file_->size(); }
  void ReadAt(uint64_t offset, std::span<std::byte> bytes) const override {
    owner_.Pass(FileOperation::kRead, path_);
    file_->ReadAt(offset, bytes);
  }

 private:
  FaultFileSystem& owner_;
  const std::string path_;
  const std::unique_ptr<ReadableFile> file_;
};

std::vector<FaultFileSystem::Record> FaultFileSystem::records() const {
  const MutexLock lock(mutex_);
  return records_;
}

int FaultFileSystem::count() const {
  const MutexLock lock(mutex_);
  return count_;
}

Fault FaultFileSystem::Count(FileOperation operation, const std::string& path) {
  const MutexLock lock(mutex_);
  if (!Reads(operation)) records_.push_back({operation, path});
  if (!Counts(plan_.operation, operation)) return Fault::kNone;
  if (path.find(plan_.path_part) == std::string::npos) return Fault::kNone;
  ++count_;
  const bool now = plan_.at > 0 && (count_ == plan_.at || (plan_.and_after && count_ > plan_.at));
  return now ? plan_.fault : Fault::kNone;
}

void FaultFileSystem::Pass(FileOperation operation, const std::string& path) {
  const Fault fault = Count(operation, path);
  if (fault == Fault::kKill || fault == Fault::kShortenAndKill) KillThisProcess();
  if (fault != Fault::kNone) throw Failure(operation, path);
}

Error FaultFileSystem::Failure(FileOperation operation, const std::string& path) const {
  return FileError(plan_.error_number, std::string("injected fault: ") + Name(operation), path);
}

std::unique_ptr<WritableFile> FaultFileSystem::Create(const std::string& path) {
  Pass(FileOperation::kCreate, path);
  return std::make_unique<File>(*this, path, files_.Create(path));
}

std::unique_ptr<WritableFile> FaultFileSystem::OpenAt(const std::string& path, uint64_t offset) {
  Pass(FileOperation::kCreate, path);
  return std::make_unique<File>(*this, path, files_.OpenAt(path, offset));
}

std::unique_ptr<ReadableFile> FaultFileSystem::Open(const std::string& path) {
  Pass(FileOperation::kOpen, path);
  return std::make_unique<OpenFile>(*this, path, files_.Open(path));
}

bool FaultFileSystem::Exists(const std::string& path) {
  Pass(FileOperation::kExists, path);
  return files_.Exists(path);
}

std::vector<std::string> FaultFileSystem::List(const std::string& folder) {
  Pass(FileOperation::kList, folder);
  return files_.List(folder);
}

void FaultFileSystem::CreateFolders(const std::string& path) {
  Pass(FileOperation::kCreateFolders, path);
  files_.CreateFolders(path);
}

void FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  Pass(FileOperation::kRename, from);
  files_.Rename(from, to);
}

bool FaultFileSystem::RenameNew(const std::string& from, const std::string& to) {
  Pass(FileOperation::kRenameNew, from);
  return files_.RenameNew(from, to);
}

void FaultFileSystem::RemoveAll(const std::string& path) {
  Pass(FileOperation::kRemove, path);
  files_.RemoveAll(path);
}

void FaultFileSystem::SyncFolder(const std::string& path) {
  Pass(FileOperation::kSyncFolder, path);
  files_.SyncFolder(path);
}

}  // namespace lockstep
