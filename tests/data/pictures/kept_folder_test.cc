#include "data/pictures/kept_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "data/pictures/stored_lists.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

/// A list as it would be kept of a folder that has long been quiet. Time can't be turned back for a test, so that the
/// list is written as ListFolder would, and read by it.
class KeptFolder : public testing::Test {
 protected:
  KeptFolder() {
    setenv("XDG_CACHE_HOME", scratch_.Path("cache").c_str(), 1);
    std::filesystem::create_directories(folder_ + "/cat/deep");
    scratch_.Write("d/cat/1.png", "x");
    scratch_.Write("d/cat/deep/2.png", "x");
  }

  WalkedFolder List(uint64_t least = 1) { return ListFolder(folder_, "data.train.folder.path", nullptr, {least}); }

  /// Keeps a list with a name that no walk would find.
  void Keep() {
    const WalkedFolder walked = WalkFolder(folder_, "field", nullptr);
    StoredFolder stored;
    stored.set_folder(folder_);
    PictureList list;
    list.names.Add("kept");
    list.classes = {0};
    list.class_names = {"cat"};
    StoreList(list, *stored.mutable_list());
    for (const DirectoryState& state : walked.directories) {
      StoredDirectory& directory = *stored.add_directories();
      directory.set_path(state.path);
      directory.set_device(state.device);
      directory.set_inode(state.inode);
      directory.set_changed_ns(state.changed_ns);
      directory.set_status_ns(state.status_ns);
    }
    EXPECT_EQ(stored.directories_size(), 3);
    WriteStored(CacheFileOf(folder_, "list"), stored);
  }
  bool UsesKept() { return List().list.names[0] == "kept"; }

  TempFolder scratch_;
  const std::string folder_ = scratch_.Path("d");
};

TEST_F(KeptFolder, IsUsedWhileNothingChanges) {
  EXPECT_FALSE(UsesKept());
  Keep();
  EXPECT_TRUE(UsesKept());
}

TEST_F(KeptFolder, IsNotUsedAfterAChangeAnywhere) {
  Keep();
  scratch_.Write("d/cat/deep/3.png", "x");
  EXPECT_FALSE(UsesKept());
  EXPECT_EQ(List().list.names.size(), 3u);
  Keep();
  std::filesystem::remove(folder_ + "/cat/1.png");
  EXPECT_FALSE(UsesKept());
  Keep();
  std::filesystem::create_directory(folder_ + "/dog");
  scratch_.Write("d/dog/1.png", "x");
  EXPECT_FALSE(UsesKept());
}

TEST_F(KeptFolder, IsNotUsedWhereATimeWasSetBack) {
  Keep();
  struct stat before {};
  stat((folder_ + "/cat").c_str(), &before);
  scratch_.Write("d/cat/4.png", "x");
  const timespec times[] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, (folder_ + "/cat").c_str(), times, 0), 0);
  EXPECT_FALSE(UsesKept());
}

TEST_F(KeptFolder, IsNotUsedWhereItIsDamaged) {
  Keep();
  const std::string file = CacheFileOf(folder_, "list");
  std::string bytes;
  {
    std::ifstream stream(file, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(stream), {});
  }
  ++bytes.back();
  std::ofstream(file, std::ios::binary) << bytes;
  EXPECT_FALSE(UsesKept());
}

TEST_F(KeptFolder, IsNotMadeOfAFolderThatJustChanged) {
  List();
  EXPECT_FALSE(std::filesystem::exists(CacheFileOf(folder_, "list")));
}

TEST_F(KeptFolder, IsNoErrorWhereTheCacheCantBeWritten) {
  setenv("XDG_CACHE_HOME", scratch_.Write("file", "x").c_str(), 1);
  EXPECT_EQ(List().list.names.size(), 2u);
}

}  // namespace
}  // namespace lockstep::data
