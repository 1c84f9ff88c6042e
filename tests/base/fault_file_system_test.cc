#include "base/fault_file_system.h"

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

  FileSystem& real_ = FileSystem::Real();
  TemporaryFolder folder_;
};

TEST_F(FaultFileSystemTest, WithoutAFaultItOnlyCounts) {
  FaultFileSystem files(real_);
  WriteFileAtomically(files, folder_ / "a", "text");
  EXPECT_EQ(ReadWholeFile(files, folder_ / "a"), "text");
  using enum FileOperation;
  const std::string temporary = folder_ / "a.tmp";
  EXPECT_THAT(
      files.records(),
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
      real_.RemoveAll(folder_ / "a.tmp");
      WriteFileAtomically(real_, folder_ / "a", "old!");
      FaultFileSystem files(real_, {.at = at, .fault = fault});
      EXPECT_EXIT(WriteFileAtomically(files, folder_ / "a", "new!"), ::testing::KilledBySignal(SIGKILL), "");
      const bool renamed = at > 5;  // create, append, sync, close, rename | sync folder
      EXPECT_EQ(ReadWholeFile(real_, folder_ / "a"), renamed ? "new!" : "old!") << "killed at operation " << at;
      EXPECT_EQ(real_.Exists(folder_ / "a.tmp"), at > 1 && !renamed);
      if (at == 2) {
        EXPECT_EQ(ReadWholeFile(real_, folder_ / "a.tmp"), fault == Fault::kKill ? "" : "ne");
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
