#include "base/files/fault_file_system.h"
#include "base/files/atomic_write.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr FileOperation kMutations[] = {
    FileOperation::kCreateFolders, FileOperation::kCreate, FileOperation::kAppend,
    FileOperation::kSync,          FileOperation::kClose,  FileOperation::kRename,
    FileOperation::kRenameNew,     FileOperation::kRemove, FileOperation::kSyncFolder};

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class FaultFileSystemTest : public ::testing::Test {
 protected:
  /// One operation of every kind.
  void Everything(FileSystem& files) {
    files.CreateFolders(folder_ / "f");
    const auto file = files.Create(folder_ / "f/a");
    file->Append(Bytes("text"));
    file->Sync();
    file->Close();
    files.Rename(folder_ / "f/a", folder_ / "f/b");
    files.RenameNew(folder_ / "f/b", folder_ / "f/c");
    files.SyncFolder(folder_ / "f");
    files.RemoveAll(folder_ / "f/c");
  }

  /// Unfinished files of what is to be "a".
  std::vector<std::string> Temporaries() {
    std::vector<std::string> paths;
    for (const std::string& name : real_.List(folder_.path()))
      if (IsTemporaryOf(name, "a")) paths.push_back(folder_ / name);
    return paths;
  }

  FileSystem& real_ = FileSystem::Real();
  TemporaryFolder folder_;
};

TEST_F(FaultFileSystemTest, WithoutAFaultItOnlyCounts) {
  FaultFileSystem files(real_);
  WriteFileAtomically(files, folder_ / "a", "text");
  EXPECT_EQ(ReadWholeFile(files, folder_ / "a"), "text");
  using enum FileOperation;
  const std::vector<FaultFileSystem::Record> records = files.records();
  const std::string temporary = records.front().path;
  EXPECT_TRUE(IsTemporaryOf(temporary, folder_ / "a")) << temporary;
  EXPECT_THAT(
      records,
      ElementsAre(FaultFileSystem::Record{kCreate, temporary}, FaultFileSystem::Record{kAppend, temporary},
                  FaultFileSystem::Record{kSync, temporary}, FaultFileSystem::Record{kClose, temporary},
                  FaultFileSystem::Record{kRename, temporary}, FaultFileSystem::Record{kSyncFolder, folder_.path()}))
      << "durable before it is renamed, and the name after it";
  EXPECT_EQ(files.count(), 6);
}

TEST_F(FaultFileSystemTest, EveryKindOfOperationCanFail) {
  for (FileOperation operation : kMutations) {
    FaultFileSystem files(real_, {.operation = operation, .at = 1, .fault = Fault::kFail, .error_number = ENOSPC});
    try {
      Everything(files);
      ADD_FAILURE() << Name(operation) << " did not fail";
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(Name(operation)));
      EXPECT_THAT(error.message(), HasSubstr("No space left on device"));
    }
    EXPECT_EQ(files.count(), 1);
    real_.RemoveAll(folder_ / "f");
  }
}

TEST_F(FaultFileSystemTest, EveryKindOfReadCanFail) {
  WriteFileAtomically(real_, folder_ / "a", "text");
  for (const FileOperation operation :
       {FileOperation::kOpen, FileOperation::kRead, FileOperation::kExists, FileOperation::kList}) {
    for (const FileOperation counted : {operation, FileOperation::kAnyRead}) {
      FaultFileSystem files(real_, {.operation = counted, .at = 1, .fault = Fault::kFail, .error_number = ESTALE});
      try {
        if (operation == FileOperation::kOpen) files.Open(folder_ / "a");
        if (operation == FileOperation::kRead) {
          FaultFileSystem opened(real_, {.operation = FileOperation::kRead, .at = 1, .fault = Fault::kFail});
          ReadWholeFile(opened, folder_ / "a");
        }
        if (operation == FileOperation::kExists) files.Exists(folder_ / "a");
        if (operation == FileOperation::kList) files.List(folder_.path());
        ADD_FAILURE() << Name(operation) << " did not fail";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kStorage);
        EXPECT_THAT(error.message(), HasSubstr(Name(operation)));
      }
    }
  }
}

TEST_F(FaultFileSystemTest, ReadsAndChangesAreCountedApart) {
  FaultFileSystem changes(real_), reads(real_, {.operation = FileOperation::kAnyRead});
  for (FaultFileSystem* files : {&changes, &reads}) {
    WriteFileAtomically(*files, folder_ / "a", "text");
    EXPECT_EQ(ReadWholeFile(*files, folder_ / "a"), "text");
    EXPECT_TRUE(files->Exists(folder_ / "a"));
    EXPECT_THAT(files->List(folder_.path()), ElementsAre("a"));
  }
  EXPECT_EQ(changes.count(), 6);
  EXPECT_EQ(reads.count(), 4);
}

TEST_F(FaultFileSystemTest, OpenAtCountsAsACreation) {
  FaultFileSystem files(real_, {.operation = FileOperation::kCreate, .at = 2, .fault = Fault::kFail});
  files.OpenAt(folder_ / "a", 3)->Append(Bytes("text"));
  EXPECT_THROW(files.OpenAt(folder_ / "a", 0), Error);
  EXPECT_EQ(ReadWholeFile(real_, folder_ / "a"), std::string("\0\0\0text", 7));
}

TEST_F(FaultFileSystemTest, OnlyTheChosenOperationFailsOrAllAfterIt) {
  FaultFileSystem once(real_, {.operation = FileOperation::kAppend, .at = 2, .fault = Fault::kFail});
  FaultFileSystem from_then_on(
      real_, {.operation = FileOperation::kAppend, .at = 2, .fault = Fault::kFail, .and_after = true});
  for (FaultFileSystem* files : {&once, &from_then_on}) {
    const auto file = files->Create(folder_ / "a");
    EXPECT_NO_THROW(file->Append(Bytes("1")));
    EXPECT_THROW(file->Append(Bytes("2")), Error);
    if (files == &once) {
      EXPECT_NO_THROW(file->Append(Bytes("3")));
    }
    if (files == &from_then_on) {
      EXPECT_THROW(file->Append(Bytes("3")), Error);
    }
    file->Close();
  }
}

TEST_F(FaultFileSystemTest, PathsOutsideThePlanAreNotCounted) {
  FaultFileSystem files(real_, {.at = 1, .fault = Fault::kFail, .path_part = "manifest"});
  EXPECT_NO_THROW(files.Create(folder_ / "shard"));
  EXPECT_THROW(files.Create(folder_ / "manifest.pb"), Error);
}

TEST_F(FaultFileSystemTest, AShortenedAppendLeavesItsFirstHalf) {
  FaultFileSystem files(real_, {.operation = FileOperation::kAppend, .at = 1, .fault = Fault::kShorten});
  const auto file = files.Create(folder_ / "a");
  EXPECT_THROW(file->Append(Bytes("12345678")), Error);
  file->Close();
  EXPECT_EQ(ReadWholeFile(real_, folder_ / "a"), "1234");
}

TEST_F(FaultFileSystemTest, AFailedRenameMovesNothing) {
  FaultFileSystem files(real_, {.operation = FileOperation::kRename, .at = 1, .fault = Fault::kFail});
  WriteFileAtomically(real_, folder_ / "a", "text");
  EXPECT_THROW(files.Rename(folder_ / "a", folder_ / "b"), Error);
  EXPECT_THAT(real_.List(folder_.path()), ElementsAre("a"));
}

TEST_F(FaultFileSystemTest, KillsBeforeTheChosenOperation) {
  FaultFileSystem counting(real_);
  WriteFileAtomically(counting, folder_ / "a", "counted");
  for (int at = 1; at <= counting.count(); ++at) {
    for (Fault fault : {Fault::kKill, Fault::kShortenAndKill}) {
      for (const std::string& left : Temporaries()) real_.RemoveAll(left);
      WriteFileAtomically(real_, folder_ / "a", "old!");
      FaultFileSystem files(real_, {.at = at, .fault = fault});
      EXPECT_EXIT(WriteFileAtomically(files, folder_ / "a", "new!"), ::testing::KilledBySignal(SIGKILL), "");
      const bool renamed = at > 5;  // create, append, sync, close, rename | sync folder
      EXPECT_EQ(ReadWholeFile(real_, folder_ / "a"), renamed ? "new!" : "old!") << "killed at operation " << at;
      ASSERT_EQ(Temporaries().size(), at > 1 && !renamed ? 1u : 0u);
      if (at == 2) {
        EXPECT_EQ(ReadWholeFile(real_, Temporaries().front()), fault == Fault::kKill ? "" : "ne");
      }
    }
  }
}

TEST_F(FaultFileSystemTest, AnAtomicWriteThatFailsAnywhereLeavesTheOldFile) {
  FaultFileSystem counting(real_);
  WriteFileAtomically(counting, folder_ / "a", "old!");
  for (int at = 1; at <= counting.count(); ++at) {
    for (Fault fault : {Fault::kFail, Fault::kShorten}) {
      WriteFileAtomically(real_, folder_ / "a", "old!");
      FaultFileSystem files(real_, {.at = at, .fault = fault, .error_number = EIO});
      EXPECT_THROW(WriteFileAtomically(files, folder_ / "a", "new!"), Error);
      EXPECT_EQ(ReadWholeFile(real_, folder_ / "a"), at > 5 ? "new!" : "old!") << "failed at operation " << at;
      EXPECT_THAT(real_.List(folder_.path()), ElementsAre("a")) << "failed at operation " << at;
    }
  }
}

}  // namespace
}  // namespace lockstep
