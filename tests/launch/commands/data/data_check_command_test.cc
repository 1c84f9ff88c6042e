#include "launch/commands/data/data_check_command.h"
#include "launch/commands/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "tests/base/error_of.h"
#include "tests/data/audio/audio_test_files.h"

namespace lockstep::launch {
namespace {

using data::Noise;
using data::TempFolder;
using data::Wav;
using testing::HasSubstr;
using testing::Not;

/// The exit code, and in `printed` what was printed.
int Check(const std::string& recipe_path, std::string& printed, const std::string& more = "") {
  CLI::App app("", "lockstep");
  int code = -1;
  AddDataCommand(app, &code);
  testing::internal::CaptureStdout();
  try {
    app.parse("data check " + recipe_path + more);
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  printed = testing::internal::GetCapturedStdout();
  return code;
}

TEST(DataCheck, CountsSamplesClassesAndLengths) {
  const TempFolder folder;
  std::string manifest;
  for (int i = 1; i <= 200; ++i) manifest += fmt::format("{}.wav\tone\n", i);
  for (int i = 1; i <= 200; ++i) folder.Write(fmt::format("{}.wav", i), Wav(Noise(80 * i)));
  folder.Write("all.tsv", manifest);
  const std::string recipe =
      folder.Write("recipe.textproto",
                   "data { train { speech { manifest: 'all.tsv' } } test { speech { manifest: 'all.tsv' } "
                   "limit: 3 } speech_features { sample_rate: 8000 } }");
  std::string printed;
  EXPECT_EQ(Check(recipe, printed), 0);
  EXPECT_THAT(printed, HasSubstr("data.train: 200 samples, 4 classes\n"
                                 "  seconds: least 0.01, median 1.00, 99 % 1.98, most 2.00; 201.00 in all\n"));
  EXPECT_THAT(printed, HasSubstr("data.test: 3 samples, 4 classes\n"));
  EXPECT_THAT(printed, HasSubstr("every sample can be read\n"));
  EXPECT_EQ(Check(recipe, printed, " --set data.test.limit=7"), 0);
  EXPECT_THAT(printed, HasSubstr("data.test: 7 samples"));
}

TEST(DataCheck, NamesEverythingThatIsBrokenOnce) {
  const TempFolder folder;
  folder.Write("good.wav", Wav(Noise(500)));
  folder.Write("cut.wav", Wav(Noise(500)).substr(0, 300));
  std::string nan = Wav(std::vector<float>(500));
  nan.replace(20, 2, std::string("\x03\0", 2));  // 32-bit floats
  nan.replace(34, 2, std::string("\x20\0", 2));
  nan.replace(32, 2, std::string("\x04\0", 2));
  nan.replace(28, 4, std::string("\0\x7d\0\0", 4));
  nan.replace(48, 4, "\xFF\xFF\xFF\x7F");
  folder.Write("nan.wav", nan);
  folder.Write("train.tsv", "good.wav\tone\ncut.wav\tone\nmissing.wav\tone\nnan.wav\tone\ngood.wav\tone\n");
  folder.Write("test.tsv", "good.wav\ttwo\nnan.wav\tone\n");
  const std::string recipe = folder.Write(
      "recipe.textproto",
      "data { train { speech { manifest: 'train.tsv' } } test { speech { manifest: 'test.tsv' } } validation { csv { "
      "file: 'none.csv' } } speech_features { sample_rate: 8000 } }");
  std::string printed;
  EXPECT_EQ(Check(recipe, printed), 3);
  for (const char* part : {"data.train: 3 samples", "train.tsv:2: ", "cut.wav: the file is cut off",
                           "train.tsv:3: there is no file", "train.tsv:4: ", "sample 1 is no finite number",
                           "test.tsv:1: the transcript has U+0074 't'", "test.tsv:2: ", "none.csv", "6 broken\n"}) {
    EXPECT_THAT(printed, HasSubstr(part));
  }
  EXPECT_THAT(printed, Not(HasSubstr("train.tsv:1:")));
}

TEST(DataCheck, NamesTranscriptsThatNothingAligns) {
  const TempFolder folder;
  // 30 inputs of 10 ms after the first; "see" needs four: a blank parts its two e.
  folder.Write("short.wav", Wav(Noise(8 * 25)));
  folder.Write("long.wav", Wav(Noise(8 * 300)));
  folder.Write("all.tsv", "long.wav\tsee the sea\nshort.wav\tsee\nshort.wav\ta\n");
  const std::string recipe = folder.Write(
      "recipe.textproto", "data { train { speech { manifest: 'all.tsv' } } speech_features { sample_rate: 8000 } }");
  std::string printed;
  EXPECT_EQ(Check(recipe, printed), 0) << "training goes on without their gradient";
  EXPECT_THAT(printed, HasSubstr("all.tsv:2: the transcript needs 4 time steps, its recording has "));
  EXPECT_THAT(printed, HasSubstr("1 of 3 transcripts are longer than their recordings"));
  EXPECT_THAT(printed, Not(HasSubstr("all.tsv:1:")));
  EXPECT_THAT(printed, Not(HasSubstr("all.tsv:3:")));
}

TEST(DataCheck, ReadsOtherDataToo) {
  const TempFolder folder;
  folder.Write("x.csv", "1,2,0\n3,4,1\n");
  const std::string recipe = folder.Write("recipe.textproto", "data { train { csv { file: 'x.csv' } } }");
  std::string printed;
  EXPECT_EQ(Check(recipe, printed), 0);
  EXPECT_EQ(printed, "data.train: 2 samples, 2 classes\nevery sample can be read\n");
  const Error error = ErrorOf([&] { Check(folder.Write("none.textproto", "name: 'x'"), printed); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("data.train"));
}

}  // namespace
}  // namespace lockstep::launch
