#include "launch/commands/data/tokenize_command.h"
#include "launch/commands/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>

#include "base/files/file.h"
#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TokenizeCommandTest : public testing::Test {
 protected:
  TokenizeCommandTest() { std::ofstream(folder_ / "text") << "a\xC3\xA9\n"; }

  int Call(const std::string& arguments) const {
    CLI::App app("", "lockstep");
    int code = -1;
    AddTokenizeCommand(app, &code);
    app.parse("tokenize " + arguments);
    return code;
  }
  std::string Bytes(const std::string& name) const { return ReadWholeFile(FileSystem::Real(), folder_ / name); }

  const TemporaryFolder folder_;
};

TEST_F(TokenizeCommandTest, WritesTheIdsOfItsTexts) {
  const std::string text = folder_ / "text";
  testing::internal::CaptureStdout();
  EXPECT_EQ(Call(text + " " + text + " -o " + (folder_ / "ids.bin") + " --bytes"), 0);
  EXPECT_THAT(
      testing::internal::GetCapturedStdout(),
      AllOf(HasSubstr("ids.bin: 8 tokens of 16 bits from 8 bytes of text"), HasSubstr("tokenizer { bytes {} }")));
  const std::string once("a\0\xC3\0\xA9\0\n\0", 8);
  EXPECT_EQ(Bytes("ids.bin"), once + once);
}

TEST_F(TokenizeCommandTest, ReplacesAFileOnlyWhenTold) {
  std::ofstream(folder_ / "ids.bin") << "before";
  const std::string arguments = (folder_ / "text") + " -o " + (folder_ / "ids.bin") + " --bytes";
  const Error error = ErrorOf([&] { Call(arguments); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("ids.bin: there is such a file already"), HasSubstr("--force")));
  EXPECT_EQ(Bytes("ids.bin"), "before");
  EXPECT_EQ(Call(arguments + " --force"), 0);
  EXPECT_EQ(Bytes("ids.bin").size(), 8u);
  const Error same = ErrorOf([&] { Call((folder_ / "text") + " -o " + (folder_ / "text") + " --bytes --force"); });
  EXPECT_THAT(same.what(), HasSubstr("is an input and the output"));
  EXPECT_EQ(Bytes("text"), "a\xC3\xA9\n");
}

TEST_F(TokenizeCommandTest, ReplacesNothingButFiles) {
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const Error error = ErrorOf([&] { Call((folder_ / "text") + " -o " + pipe + " --bytes --force"); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("pipe: is a folder or a device, no file"));
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST_F(TokenizeCommandTest, NeedsOneTokenizer) {
  const std::string arguments = (folder_ / "text") + " -o " + (folder_ / "ids.bin");
  for (const std::string tokenizers : {"", " --vocab v", " --merges m", " --bytes --sentencepiece m"}) {
    const Error error = ErrorOf([&] { Call(arguments + tokenizers); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("give one of --tokenizer-json FILE")) << tokenizers;
  }
  EXPECT_EQ(ErrorOf([&] { Call(arguments + " --sentencepiece /nowhere"); }).kind(), ErrorKind::kData);
  EXPECT_FALSE(FileSystem::Real().Exists(folder_ / "ids.bin"));
}

}  // namespace
}  // namespace lockstep::launch
