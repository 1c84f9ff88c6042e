#include "data/text/write_token_file.h"
#include "data/text/sentencepiece/sentencepiece_tokenizer.h"
#include "data/text/tokenizers/bpe_files.h"
#include "data/text/tokenizers/character_tokenizer.h"
#include "data/text/tokenizers/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/files/file.h"
#include "data/text/token_files.h"
#include "tests/data/test_files.h"
#include "tests/data/text/text_test_files.h"

namespace lockstep::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int32_t> TokensIn(const std::string& path, int32_t vocabulary) {
  const auto source = OpenTokenFiles({path}, "data.train.tokens", {.vocabulary = vocabulary});
  std::vector<int32_t> ids(source->size());
  source->Read(0, ids);
  return ids;
}

std::string PartsTogether(const std::string& path, const Tokenizer& tokenizer, const TextPartsOptions& options,
                          int* count) {
  TextParts parts(path, tokenizer, options);
  std::string all, part;
  for (*count = 0; parts.Next(part); ++*count) all += part;
  return all;
}

/// Odd texts of all kinds in any order, with the line ends and blanks between them that patterns look at.
std::string OddText(uint32_t seed) {
  const auto texts = ExpectedTokens()["texts"].get<std::vector<std::string>>();
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < 60000) {
    text += texts[random() % texts.size()];
    for (const char* between : {"\n", " \n", "\r\n", "\n\n", ".\n", "e\n", ""})
      if (random() % 3 == 0) text += between;
  }
  return text;
}

/// Bytes, with as large a vocabulary as one wants.
class ManyTokens : public Tokenizer {
 public:
  explicit ManyTokens(int32_t size) : size_(size) {}
  int32_t size() const override { return size_; }
  uint64_t fingerprint() const override { return 1; }
  void Encode(std::string_view text, std::vector<int32_t>& ids) const override {
    for (const char c : text) ids.push_back(size_ - 1 - static_cast<uint8_t>(c));
  }
  std::string Decode(std::span<const int32_t>) const override { return ""; }

 private:
  const int32_t size_;
};

TEST(TextParts, TokensOfPartsAreThoseOfTheWhole) {
  const TempFolder folder;
  int seed = 0;
  for (const auto& expected : ExpectedTokens()["cases"]) {
    SCOPED_TRACE(expected["name"].get<std::string>());
    const auto tokenizer = OpenTokenizerJson(folder.Write("tokenizer.json", ExpectedTokenizer(expected).dump()));
    const std::string text = OddText(static_cast<uint32_t>(++seed)), path = folder.Write("text", text);
    TextParts parts(path, *tokenizer, {.part = 3000});
    std::vector<int32_t> ids;
    std::string part, all;
    int count = 0;
    for (; parts.Next(part); ++count) {
      tokenizer->Encode(part, ids);
      all += part;
    }
    EXPECT_GT(count, 10);
    EXPECT_TRUE(all == text);
    EXPECT_TRUE(ids == Ids(*tokenizer, text));
  }
}

TEST(TextParts, EndInFrontOfLinesWhereTheyCan) {
  const TempFolder folder;
  const auto bytes = MakeByteTokenizer();
  std::string text;
  for (int line = 0; line < 1000; ++line) text += fmt::format("line {}\n", line);
  TextParts parts(folder.Write("text", text), *bytes, {.part = 100, .context = 20});
  std::string part;
  int count = 0;
  while (parts.Next(part)) {
    EXPECT_EQ(part.back(), '\n');
    EXPECT_LE(part.size(), 120u);
    ++count;
  }
  EXPECT_GT(count, 80);
}

TEST(TextParts, OneLongLineIsCutBetweenCharacters) {
  const TempFolder folder;
  const auto bytes = MakeByteTokenizer();
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "\xE6\x9D\xB1";
  int count = 0;
  EXPECT_EQ(PartsTogether(folder.Write("text", text), *bytes, {.part = 500, .context = 31}, &count), text);
  EXPECT_GE(count, 18);
  EXPECT_EQ(PartsTogether(folder.Write("text.gz", Gzip(text)), *bytes, {.part = 500, .context = 31}, &count), text);
}

TEST(TextParts, SayWhatIsWrongWithAFile) {
  const TempFolder folder;
  const auto bytes = MakeByteTokenizer();
  const auto read = [&](const std::string& text, TextPartsOptions options = {}) {
    int count = 0;
    return PartsTogether(folder.Write("text", text), *bytes, options, &count);
  };
  ExpectError(ErrorKind::kData, {"/text: the file is empty"}, [&] { read(""); });
  ExpectError(ErrorKind::kData, {"/text: the file is empty"}, [&] { read(Gzip("")); });
  std::string long_text;
  for (int line = 0; line < 50; ++line) long_text += "abcdefghi\n";
  ExpectError(ErrorKind::kData, {"/text:51: there is byte 0xFF", "iconv"},
              [&] { read(long_text + "a\xFF", {.part = 40, .context = 8}); });
  EXPECT_EQ(read("\xFF\n", {.any_bytes = true}), "\xFF\n");
  const std::string packed = Gzip(Pattern(100000));
  ExpectError(ErrorKind::kData, {"/text: the gzip data is cut off"},
              [&] { read(packed.substr(0, packed.size() - 30), {.any_bytes = true}); });
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // the sum that is checked
  ExpectError(ErrorKind::kData, {"/text: incorrect data check"}, [&] { read(damaged, {.any_bytes = true}); });
  ExpectError(ErrorKind::kData, {"/nowhere: there is no such file"}, [&] { TextParts("/nowhere", *bytes); });

  // No place to cut: the whole is one token, whatever its length.
  class OneToken : public ManyTokens {
   public:
    OneToken() : ManyTokens(1) {}
    void Encode(std::string_view, std::vector<int32_t>& ids) const override { ids.push_back(0); }
  };
  const OneToken one_token;
  const std::string path = folder.Write("text", long_text);
  ExpectError(ErrorKind::kData, {"/text:1: no place to cut the text at"}, [&] {
    TextParts parts(path, one_token, {.part = 40, .most = 160, .context = 8});
    std::string part;
    parts.Next(part);
  });
}

TEST(WriteTokenFile, ComesBackFromTheReader) {
  const TempFolder folder;
  const auto tokenizer =
      OpenTokenizerJson(folder.Write("tokenizer.json", ExpectedTokenizer(ExpectedTokens()["cases"][0]).dump()));
  const std::string a = OddText(1), b = OddText(2);
  const std::vector<std::string> texts = {folder.Write("a", a), folder.Write("b.gz", Gzip(b))};
  std::vector<int32_t> expected = Ids(*tokenizer, a);
  tokenizer->Encode(b, expected);
  uint64_t calls = 0, last_bytes = 0, last_tokens = 0;
  for (const int threads : {1, 3}) {
    WriteTokenOptions options{.parts = {.part = 5000}, .threads = threads};
    options.on_progress = [&](uint64_t bytes, uint64_t tokens) { ++calls, last_bytes = bytes, last_tokens = tokens; };
    const std::string path = folder.Path(fmt::format("{}.bin", threads));
    const WrittenTokens written = WriteTokenFile(texts, *tokenizer, path, options);
    EXPECT_EQ(written.tokens, expected.size());
    EXPECT_EQ(written.bytes, a.size() + b.size());
    EXPECT_EQ(written.width, 2);
    EXPECT_EQ(std::filesystem::file_size(path), expected.size() * 2);
    EXPECT_TRUE(TokensIn(path, tokenizer->size()) == expected);
    EXPECT_EQ(tokenizer->Decode(TokensIn(path, tokenizer->size())), a + b);
    EXPECT_EQ(last_tokens, expected.size());
    EXPECT_EQ(last_bytes, std::filesystem::file_size(texts[0]) + std::filesystem::file_size(texts[1]));
  }
  EXPECT_GT(calls, 8u);
}

TEST(WriteTokenFile, OfRealTextIsThatOfTheWhole) {
  if (RealData().empty()) GTEST_SKIP() << "LOCKSTEP_DATA is not set";
  const TempFolder folder;
  const auto gpt2 = OpenByteLevelBpe(RealData() + "/gpt2-bpe/encoder.json", RealData() + "/gpt2-bpe/vocab.bpe");
  const auto pieces = OpenSentencePiece(LOCKSTEP_SOURCE_DIR "/examples/data/multi30k.model");
  const std::string shakespeare = RealData() + "/tinyshakespeare/input.txt", path = folder.Path("ids.bin");
  const WriteTokenOptions options{.parts = {.part = 10000}, .threads = 2};
  // nanoGPT's README counts 301,966 and 36,059 tokens of the text's first nine tenths and its last.
  EXPECT_EQ(WriteTokenFile({shakespeare}, *gpt2, path, options).tokens, 301966u + 36059u);
  const std::string text = ReadWholeFile(FileSystem::Real(), shakespeare);
  EXPECT_TRUE(TokensIn(path, gpt2->size()) == Ids(*gpt2, text));
  WriteTokenFile({shakespeare}, *pieces, path, options);
  EXPECT_TRUE(TokensIn(path, pieces->size()) == Ids(*pieces, text));
}

TEST(WriteTokenFile, LargeVocabulariesTakeFourBytes) {
  const TempFolder folder;
  const std::string text = folder.Write("text", "ab"), path = folder.Path("ids.bin");
  EXPECT_EQ(WriteTokenFile({text}, ManyTokens(65536), path).width, 2);
  EXPECT_THAT(TokensIn(path, 65536), ElementsAre(65535 - 'a', 65535 - 'b'));
  EXPECT_EQ(WriteTokenFile({text}, ManyTokens(65537), path).width, 4);
  EXPECT_EQ(std::filesystem::file_size(path), 1024u + 8);
  EXPECT_THAT(TokensIn(path, 65537), ElementsAre(65536 - 'a', 65536 - 'b'));
}

/// Of blanks alone it makes no tokens, as SentencePiece does; digits are unknown to it.
class Words final : public ManyTokens {
 public:
  Words() : ManyTokens(1000) {}
  int32_t unknown() const override { return 3; }
  void Encode(std::string_view text, std::vector<int32_t>& ids) const override {
    for (const char c : text)
      if (c > ' ') ids.push_back(c >= '0' && c <= '9' ? 3 : c);
  }
};

TEST(WriteTokenFile, RefusesTextsWithoutTokensAndCountsUnknownOnes) {
  const TempFolder folder;
  const std::string blank = folder.Write("blank", " \n\n"), path = folder.Path("ids.bin");
  ExpectError(ErrorKind::kData, {"/blank: the text has no tokens"}, [&] { WriteTokenFile({blank}, Words(), path); });
  EXPECT_FALSE(FileSystem::Real().Exists(path));
  EXPECT_EQ(WriteTokenFile({blank, folder.Write("text", "ab 12 c 3")}, Words(), path).unknown, 3u);
}

TEST(WriteTokenFile, AFileIsWholeOrAsItWas) {
  const TempFolder folder;
  const std::string good = folder.Write("good", "text\n"), bad = folder.Write("bad", "\xFF"),
                    path = folder.Write("ids.bin", "before");
  ExpectError(ErrorKind::kData, {"/bad:1"}, [&] { WriteTokenFile({good, bad}, *MakeByteTokenizer(), path); });
  EXPECT_EQ(ReadWholeFile(FileSystem::Real(), path), "before");
  EXPECT_THAT(FileSystem::Real().List(std::filesystem::path(path).parent_path()),
              ElementsAre("bad", "good", "ids.bin"));
}

}  // namespace
}  // namespace lockstep::data
