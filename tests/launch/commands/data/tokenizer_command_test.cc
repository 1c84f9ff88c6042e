#include "launch/commands/data/tokenizer_command.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "launch/commands/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>

#include "base/files/file.h"
#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

using testing::HasSubstr;

int Call(const std::string& arguments) {
  CLI::App app("", "lockstep");
  int code = -1;
  AddTokenizerCommand(app, &code);
  app.parse(arguments);
  return code;
}

TEST(TokenizerCommand, TrainsAVocabularyOfAllItsTexts) {
  if (std::system("spm_train --help >/dev/null 2>&1") == 127 << 8) GTEST_SKIP() << "there is no spm_train";
  const TemporaryFolder folder;
  for (const std::string name : {"a", "b"}) {
    std::ofstream text(folder / name);
    for (int line = 0; line < 50; ++line) text << (name == "a" ? "der Hund und der Hase\n" : "thé ox\n");
  }
  const std::string arguments =
      "tokenizer train " + (folder / "a") + " " + (folder / "b") + " -o " + (folder / "m") + " --pieces 19 --kind ";
  EXPECT_EQ(Call(arguments + "BPE"), 0);
  const auto bpe = data::OpenSentencePiece(folder / "m");
  EXPECT_EQ(bpe->size(), 19);
  EXPECT_EQ(bpe->padding(), 0);
  EXPECT_EQ(bpe->begin(), 1);
  EXPECT_EQ(bpe->end(), 2);
  std::vector<int32_t> ids;
  bpe->Encode("der thé", ids);
  EXPECT_EQ(bpe->Decode(ids), "der thé") << "both texts' letters have pieces";

  const Error there = ErrorOf([&] { Call(arguments + "UNIGRAM"); });
  EXPECT_EQ(there.kind(), ErrorKind::kUsage);
  EXPECT_THAT(there.what(), HasSubstr("--force"));
  EXPECT_EQ(data::OpenSentencePiece(folder / "m")->fingerprint(), bpe->fingerprint());
  EXPECT_EQ(Call(arguments + "UNIGRAM --force"), 0);
  EXPECT_NE(data::OpenSentencePiece(folder / "m")->fingerprint(), bpe->fingerprint());
}

TEST(TokenizerCommand, NamesItsMissingParts) {
  EXPECT_THROW(Call("tokenizer"), CLI::ParseError);
  EXPECT_THROW(Call("tokenizer train text"), CLI::ParseError);
  EXPECT_THROW(Call("tokenizer train text -o m --kind WORDS"), CLI::ParseError);
  const TemporaryFolder folder;
  EXPECT_EQ(ErrorOf([&] { Call("tokenizer train /nowhere -o " + (folder / "m")); }).kind(), ErrorKind::kData);
}

}  // namespace
}  // namespace lockstep::launch
