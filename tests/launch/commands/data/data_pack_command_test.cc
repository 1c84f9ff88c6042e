#include "launch/commands/data/data_pack_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "launch/commands/commands.h"
#include "tests/data/pictures/picture_test_files.h"
#include "tests/data/test_files.h"

namespace lockstep::launch {
namespace {

using data::PatternImage;
using data::Png;
using data::TempFolder;
using testing::HasSubstr;

/// The exit code of `lockstep data ARGUMENTS`, and in `printed` what was printed.
int RunData(const std::string& arguments, std::string& printed) {
  CLI::App app("", "lockstep");
  int code = -1;
  AddDataCommand(app, &code);
  testing::internal::CaptureStdout();
  try {
    app.parse("data " + arguments);
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  printed = testing::internal::GetCapturedStdout();
  return code;
}

/// Two classes of three pictures, of which two are damaged.
void WritePictures(const TempFolder& folder) {
  for (const std::string name : {"cat", "dog"}) {
    std::filesystem::create_directories(folder.Path("d/" + name));
    for (unsigned i = 0; i < 3; ++i) folder.Write(fmt::format("d/{}/{}.png", name, i), Png(PatternImage(9, 9, i)));
  }
  folder.Write("d/cat/1.png", "GIF89a, whatever its name says");
  folder.Write("d/dog/2.png", Png(PatternImage(9, 9, 1)).substr(0, 60));
}

TEST(DataPack, LeavesOutAndNamesWhatIsNoPicture) {
  const TempFolder folder;
  setenv("XDG_CACHE_HOME", folder.Path("cache").c_str(), 1);
  WritePictures(folder);
  std::string printed;
  EXPECT_EQ(RunData(fmt::format("pack {} {}", folder.Path("d"), folder.Path("out.tar")), printed), 3);
  EXPECT_THAT(printed, HasSubstr("broken  " + folder.Path("d/cat/1.png") + ": this is a GIF"));
  EXPECT_THAT(printed, HasSubstr("5 pictures of 2 classes"));
  EXPECT_TRUE(std::filesystem::exists(folder.Path("out.tar.index")));
  std::filesystem::remove(folder.Path("d/cat/1.png"));
  EXPECT_EQ(RunData(fmt::format("pack {} {} --archive-mib 1", folder.Path("d"), folder.Path("more.tar")), printed), 0);
  EXPECT_TRUE(std::filesystem::exists(folder.Path("more-00000.tar")));
}

TEST(DataCheck, NamesAllPicturesThatCantBeDecoded) {
  const TempFolder folder;
  setenv("XDG_CACHE_HOME", folder.Path("cache").c_str(), 1);
  WritePictures(folder);
  const std::string recipe = folder.Write(
      "recipe.textproto",
      "data { train { folder { path: 'd' } } test { folder { path: 'd' } limit: 1 } pictures { height: 4 } }");
  std::string printed;
  EXPECT_EQ(RunData("check " + recipe, printed), 3);
  EXPECT_THAT(printed, HasSubstr("data.train: 6 samples, 2 classes"));
  EXPECT_THAT(printed, HasSubstr("broken  " + folder.Path("d/cat/1.png") + ": this is a GIF"));
  EXPECT_THAT(printed, HasSubstr("broken  " + folder.Path("d/dog/2.png") + ": the PNG is damaged or cut off"));
  EXPECT_THAT(printed, HasSubstr("2 broken"));
}

}  // namespace
}  // namespace lockstep::launch
