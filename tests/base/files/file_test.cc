#include "base/files/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <barrier>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The file by way of the standard library.
std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class FileTest : public ::testing::Test {
 protected:
  FileSystem& files_ = FileSystem::Real();
  TemporaryFolder folder_;
};

TEST_F(FileTest, WhatWasAppendedIsInTheFile) {
  const std::string path = folder_ / "a";
  const auto file = files_.Create(path);
  file->Append(Bytes("lock"));
  file->Append({});
  file->Append(Bytes("step"));
  file->Sync();
  file->Close();
  EXPECT_EQ(Contents(path), "lockstep");
  files_.Create(path)->Close();
  EXPECT_EQ(Contents(path), "") << "Create truncates";
}

TEST_F(FileTest, AClosedFileTakesNoMore) {
  const auto file = files_.Create(folder_ / "a");
  file->Close();
  EXPECT_EQ(ErrorOf([&] { file->Append(Bytes("x")); }).kind(), ErrorKind::kInternal);
  EXPECT_EQ(ErrorOf([&] { file->Close(); }).kind(), ErrorKind::kInternal);
}

TEST_F(FileTest, ReadsAnyPartAndRefusesToReadPastTheEnd) {
  std::ofstream(folder_ / "a") << "0123456789";
  const auto file = files_.Open(folder_ / "a");
  EXPECT_EQ(file->size(), 10u);
  std::string part(4, ' ');
  file->ReadAt(3, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "3456");
  const Error error = ErrorOf([&] { file->ReadAt(8, std::as_writable_bytes(std::span(part))); });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_EQ(error.where(), folder_ / "a");
  EXPECT_THAT(error.message(), HasSubstr("ends at byte 10, 2 bytes too early"));
}

// Large files are written past the page cache, in blocks; what does not fill one is not.
TEST_F(FileTest, LargeFilesOfOddPartsComeBackAsWritten) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{4096}, uint64_t{777}}) {
    const auto file = offset == 0 ? files_.Create(folder_ / "a") : files_.OpenAt(folder_ / "a", offset);
    std::string expected(offset, '\0');
    for (size_t part = 0; part < 60; ++part) {
      std::string bytes(part * 30'011 % 1'000'003 + (part == 20 ? 9 << 20 : 1), '\0');
      for (size_t i = 0; i < bytes.size(); i += 61) bytes[i] = static_cast<char>(part + i / 61);
      file->Append(Bytes(bytes));
      expected += bytes;
      if (part % 16 == 5) {
        file->Sync();
        EXPECT_EQ(ReadWholeFile(files_, folder_ / "a").size(), expected.size());
      }
    }
    file->Close();
    ASSERT_GT(expected.size(), 30u << 20);
    EXPECT_TRUE(ReadWholeFile(files_, folder_ / "a") == expected) << offset;
    files_.RemoveAll(folder_ / "a");
  }
}

TEST_F(FileTest, OpenAtWritesPartsOfOneFileInAnyOrder) {
  const auto second = files_.OpenAt(folder_ / "a", 5);
  const auto first = files_.OpenAt(folder_ / "a", 0);
  second->Append(Bytes("fg"));
  first->Append(Bytes("abc"));
  second->Append(Bytes("h"));
  for (const auto& part : {first.get(), second.get()}) {
    part->Sync();
    part->Close();
  }
  EXPECT_EQ(ReadWholeFile(files_, folder_ / "a"), std::string("abc\0\0fgh", 8)) << "nothing is cut off";
  EXPECT_THROW(files_.OpenAt(folder_ / "none/a", 0), Error);
}

TEST_F(FileTest, ListIsSortedAndEmptyForAMissingFolder) {
  for (const char* name : {"b", "a", "c"}) std::ofstream(folder_ / name) << name;
  EXPECT_THAT(files_.List(folder_.path()), ElementsAre("a", "b", "c"));
  EXPECT_THAT(files_.List(folder_ / "missing"), IsEmpty());
  EXPECT_THROW(files_.List(folder_ / "a"), Error) << "a file is no folder";
}

TEST_F(FileTest, CreatesNestedFoldersAndAcceptsThoseThatAreThere) {
  files_.CreateFolders(folder_ / "x/y/z");
  files_.CreateFolders(folder_ / "x/y/z/");
  EXPECT_TRUE(std::filesystem::is_directory(folder_ / "x/y/z"));
  std::ofstream(folder_ / "file") << "";
  const Error error = ErrorOf([&] { files_.CreateFolders(folder_ / "file/below"); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.where(), HasSubstr(folder_ / "file"));
}

TEST_F(FileTest, RemovesTreesAndMissingPathsAlike) {
  files_.CreateFolders(folder_ / "x/y");
  std::ofstream(folder_ / "x/y/file") << "text";
  files_.RemoveAll(folder_ / "x");
  EXPECT_FALSE(files_.Exists(folder_ / "x"));
  EXPECT_NO_THROW(files_.RemoveAll(folder_ / "x"));
}

TEST_F(FileTest, RenameReplaces) {
  std::ofstream(folder_ / "new") << "new";
  std::ofstream(folder_ / "old") << "old";
  files_.Rename(folder_ / "new", folder_ / "old");
  files_.SyncFolder(folder_.path());
  EXPECT_EQ(Contents(folder_ / "old"), "new");
  EXPECT_FALSE(files_.Exists(folder_ / "new"));
}

TEST_F(FileTest, RenameNewLeavesWhatIsThere) {
  std::ofstream(folder_ / "new") << "new";
  std::ofstream(folder_ / "old") << "old";
  EXPECT_FALSE(files_.RenameNew(folder_ / "new", folder_ / "old"));
  EXPECT_EQ(Contents(folder_ / "old"), "old");
  EXPECT_EQ(Contents(folder_ / "new"), "new");
  EXPECT_TRUE(files_.RenameNew(folder_ / "new", folder_ / "newest"));
  EXPECT_EQ(Contents(folder_ / "newest"), "new");
  EXPECT_THAT(files_.List(folder_.path()), ElementsAre("newest", "old"));
  EXPECT_THROW(files_.RenameNew(folder_ / "missing", folder_ / "a"), Error);
}

TEST_F(FileTest, ALinkWhoseAnswerWasLostIsARename) {
  std::ofstream(folder_ / "mine") << "mine";
  std::filesystem::create_hard_link(folder_ / "mine", folder_ / "name");
  EXPECT_TRUE(files_.RenameNew(folder_ / "mine", folder_ / "name"));
  EXPECT_THAT(files_.List(folder_.path()), ElementsAre("name"));
}

TEST_F(FileTest, OneOfManyWinsANewName) {
  constexpr int kRacers = 8;
  for (int round = 0; round < 50; ++round) {
    const std::string name = folder_ / "name";
    std::atomic<int> winners{0};
    std::barrier start(kRacers);
    std::vector<std::thread> racers;
    for (int racer = 0; racer < kRacers; ++racer)
      racers.emplace_back([&, racer] {
        const std::string mine = name + std::to_string(racer);
        std::ofstream(mine) << racer;
        start.arrive_and_wait();
        if (files_.RenameNew(mine, name)) ++winners;
      });
    for (std::thread& racer : racers) racer.join();
    ASSERT_EQ(winners, 1);
    files_.RemoveAll(name);
  }
}

TEST_F(FileTest, ErrorsSayWhereWhyAndWhatToDo) {
  const Error missing = ErrorOf([&] { files_.Open(folder_ / "missing"); });
  EXPECT_EQ(missing.kind(), ErrorKind::kUsage);
  EXPECT_EQ(missing.where(), folder_ / "missing");
  EXPECT_THAT(missing.message(), HasSubstr("No such file or directory"));
  for (const auto& [number, kind] : {std::pair{ENOENT, ErrorKind::kUsage},
                                     {ENOTDIR, ErrorKind::kUsage},
                                     {EACCES, ErrorKind::kAccess},
                                     {EROFS, ErrorKind::kAccess},
                                     {EIO, ErrorKind::kStorage},
                                     {ENOSPC, ErrorKind::kStorage},
                                     {ESTALE, ErrorKind::kStorage},
                                     {ENOMEM, ErrorKind::kMemory}})
    EXPECT_EQ(FileError(number, "can't write", "/p").kind(), kind) << number;
  EXPECT_THROW(files_.Open(folder_.path()), Error) << "a folder is no file";
  EXPECT_THROW(files_.Rename(folder_ / "missing", folder_ / "a"), Error);
  EXPECT_THROW(files_.SyncFolder(folder_ / "missing"), Error);
  EXPECT_THROW(files_.Create(folder_ / "missing/a"), Error);
  for (int number : {ENOSPC, EDQUOT, EACCES, EROFS, EIO}) {
    EXPECT_THAT(FileError(number, "can't write", "/p").hint(), ::testing::Not(IsEmpty())) << number;
  }
}

TEST_F(FileTest, AFullDeviceIsReported) {
  const auto file = files_.Create("/dev/full");
  const Error error = ErrorOf([&] { file->Append(Bytes("x")); });
  EXPECT_THAT(error.message(), HasSubstr("No space left on device"));
  EXPECT_THAT(error.hint(), HasSubstr("free some space"));
}

}  // namespace
}  // namespace lockstep
