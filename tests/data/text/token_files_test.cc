#include "data/text/token_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "tests/base/error_of.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TokenFilesTest : public testing::Test {
 protected:
  template <typename T>
  std::string Write(const std::string& name, const std::vector<T>& values) {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
    return folder_ / name;
  }
  /// As llm.c writes them.
  template <typename T>
  std::string WriteWithHeader(const std::string& name, int32_t magic, int32_t version, int32_t count,
                              const std::vector<T>& ids) {
    std::vector<int32_t> header(256);
    header[0] = magic, header[1] = version, header[2] = count;
    std::string bytes(reinterpret_cast<const char*>(header.data()), 1024);
    bytes.append(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(T));
    return Write(name, std::vector<char>(bytes.begin(), bytes.end()));
  }
  static std::unique_ptr<TokenSource> Open(const std::vector<std::string>& paths, TokenFilesOptions options = {}) {
    if (options.vocabulary == 0) options.vocabulary = 65536;
    return OpenTokenFiles(paths, "data.train.tokens", options);
  }
  static std::vector<int32_t> All(const TokenSource& source) {
    std::vector<int32_t> ids(source.size());
    source.Read(0, ids);
    return ids;
  }

  TemporaryFolder folder_;
};

TEST_F(TokenFilesTest, ThreeFormatsOneAfterTheOther) {
  const std::string raw = Write("a.bin", std::vector<uint16_t>{1, 2, 65535}),
                    gpt2 = WriteWithHeader("b.bin", 20240520, 1, 2, std::vector<uint16_t>{4, 5}),
                    llama = WriteWithHeader("c.bin", 20240801, 7, 2, std::vector<uint32_t>{6, 65535});
  const auto source = Open({raw, gpt2, llama});
  EXPECT_THAT(All(*source), ElementsAre(1, 2, 65535, 4, 5, 6, 65535));
  // Any stretch of them.
  const std::vector<int32_t> all = All(*source);
  for (uint64_t first = 0; first <= all.size(); ++first)
    for (uint64_t count = 0; first + count <= all.size(); ++count) {
      std::vector<int32_t> part(count);
      source->Read(first, part);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + static_cast<int64_t>(first)));
    }
}

TEST_F(TokenFilesTest, APartOfAllTokens) {
  std::vector<uint16_t> ids(100);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<uint16_t>(i);
  const std::string path = Write("a.bin", ids);
  const auto front = Open({path}, {.end = 0.9}), back = Open({path}, {.begin = 0.9});
  EXPECT_EQ(front->size(), 90u);
  EXPECT_EQ(All(*back).front(), 90);
  EXPECT_EQ(back->size(), 10u);
  EXPECT_NE(front->fingerprint(), back->fingerprint());
}

TEST_F(TokenFilesTest, TheFingerprintIsOfContent) {
  std::vector<uint16_t> ids(300000, 7);
  const std::string a = Write("a.bin", ids), b = Write("b.bin", ids);
  EXPECT_EQ(Open({a})->fingerprint(), Open({b})->fingerprint());
  ids[123456] = 8;
  Write("b.bin", ids);
  EXPECT_NE(Open({a})->fingerprint(), Open({b})->fingerprint());
  // Of large files some blocks are hashed: of this one, which has ten, all are drawn in 4,096 tries.
  EXPECT_NE(Open({a}, {.fingerprint = {.whole_up_to = 1000}})->fingerprint(),
            Open({b}, {.fingerprint = {.whole_up_to = 1000}})->fingerprint());
}

TEST_F(TokenFilesTest, WhatIsWrongIsNamed) {
  const auto error = [&](const auto& run) { return std::string(ErrorOf(run).what()); };
  EXPECT_THAT(error([&] { Open({folder_ / "none.bin"}); }),
              AllOf(HasSubstr("none.bin"), HasSubstr("data.train.tokens.files")));
  const std::string odd = Write("odd.bin", std::vector<char>{1, 2, 3});
  EXPECT_THAT(std::string(error([&] { Open({odd}); })), AllOf(HasSubstr("odd.bin"), HasSubstr("3 bytes")));
  const std::string cut = WriteWithHeader("cut.bin", 20240520, 1, 9, std::vector<uint16_t>{4, 5});
  EXPECT_THAT(std::string(error([&] { Open({cut}); })), AllOf(HasSubstr("cut.bin"), HasSubstr("9 tokens")));
  const std::string large = Write("large.bin", std::vector<uint16_t>{1, 2, 900, 3});
  EXPECT_THAT(error([&] { Open({large}, {.vocabulary = 900}); }), HasSubstr("token 2 is 900"));
  const auto source = Open({large}, {.vocabulary = 900, .check_ids = false});
  std::vector<int32_t> ids(2);
  source->Read(0, ids);
  EXPECT_THAT(error([&] { source->Read(1, ids); }),
              AllOf(HasSubstr("large.bin"), HasSubstr("token 2 is 900"), HasSubstr("vocabulary has 900")));
  EXPECT_THAT(std::string(error([&] { Open({}); })), HasSubstr("no file is named"));
}

TEST_F(TokenFilesTest, WiderIdsAreReadWhereItIsSaid) {
  const std::vector<uint32_t> ids = {1, 70000, 3};
  const auto source = Open({Write("a.bin", ids)}, {.vocabulary = 151936, .id_bytes = 4});
  EXPECT_THAT(All(*source), ElementsAre(1, 70000, 3));
  const auto widest = Open({Write("b.bin", std::vector<int64_t>{5, 151935})}, {.vocabulary = 151936, .id_bytes = 8});
  EXPECT_THAT(All(*widest), ElementsAre(5, 151935));
  EXPECT_THAT(ErrorOf([&] {
                Open({Write("c.bin", std::vector<int64_t>{5, -1})}, {.vocabulary = 151936, .id_bytes = 8});
              }).message(),
              HasSubstr("token 1 is"));
}

TEST_F(TokenFilesTest, WhatIsNoSixteenBitIdsIsNeverTakenForThem) {
  const auto refused = [&](const auto& values, int32_t vocabulary = 50257) {
    const Error error = ErrorOf([&] { Open({Write("a.bin", values)}, {.vocabulary = vocabulary}); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    return std::string(error.what());
  };
  std::vector<uint32_t> four(100);
  std::vector<int64_t> eight(100);
  for (size_t i = 0; i < four.size(); ++i) four[i] = static_cast<uint32_t>(eight[i] = static_cast<int64_t>(i * 7));
  EXPECT_THAT(refused(four), AllOf(HasSubstr("32-bit ids"), HasSubstr("data.train.tokens.id_bytes: 4")));
  EXPECT_THAT(refused(eight), AllOf(HasSubstr("64-bit ids"), HasSubstr("data.train.tokens.id_bytes: 8")));
  four[3] = 151000;
  EXPECT_THAT(refused(four, 151936), AllOf(HasSubstr("does not fit into 16-bit ids"), HasSubstr("id_bytes: 4")));
  const std::string text = "the quick brown fox jumps over the lazy dog, and then it does so again.\n";
  EXPECT_THAT(refused(std::vector<char>(text.begin(), text.end())), HasSubstr("is text"));
  for (const auto& [magic, name] : {std::pair<std::string, std::string>{"\x1f\x8b\x08", "gzip"},
                                    {std::string("\xfd\x37zXZ\0", 6), "xz"},
                                    {"\x28\xb5\x2f\xfd", "Zstandard"},
                                    {"BZh91AY&SY", "bzip2"},
                                    {"PK\x03\x04", "zip"}}) {
    const std::string bytes = magic + std::string(500 - magic.size(), '\x05');
    EXPECT_THAT(refused(std::vector<char>(bytes.begin(), bytes.end())), HasSubstr(name));
  }
  EXPECT_THAT(ErrorOf([&] {
                Open({WriteWithHeader("v2.bin", 20240520, 2, 2, std::vector<uint16_t>{4, 5})});
              }).message(),
              HasSubstr("version 2"));
  EXPECT_THAT(ErrorOf([&] {
                Open({WriteWithHeader("e.bin", 20240522, 1, 2, std::vector<uint16_t>{4, 5})});
              }).message(),
              HasSubstr("evaluation"));
}

TEST_F(TokenFilesTest, NumPyArraysAreRead) {
  const auto npy = [&](const std::string& type, const auto& ids) {
    std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (3,), }";
    header.resize(117, ' ');
    header += '\n';
    std::string bytes = std::string("\x93NUMPY\x01\0", 8) + std::string("\x76\0", 2) + header;
    bytes.append(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(ids[0]));
    return Write("a.npy", std::vector<char>(bytes.begin(), bytes.end()));
  };
  EXPECT_THAT(All(*Open({npy("<u2", std::vector<uint16_t>{1, 2, 50000})})), ElementsAre(1, 2, 50000));
  EXPECT_THAT(All(*Open({npy("<i8", std::vector<int64_t>{1, 2, 3})})), ElementsAre(1, 2, 3));
  EXPECT_THAT(ErrorOf([&] { Open({npy("<f8", std::vector<double>{1, 2, 3})}); }).message(), HasSubstr("another type"));
}

TEST_F(TokenFilesTest, AFileThatIsShortenedIsAnErrorWithItsPath) {
  const std::string path = Write("a.bin", std::vector<uint16_t>(100, 1));
  const auto source = Open({path});
  Write("a.bin", std::vector<uint16_t>(10, 1));
  std::vector<int32_t> ids(50);
  EXPECT_THAT(std::string(ErrorOf([&] { source->Read(0, ids); }).what()), HasSubstr("a.bin"));
}

}  // namespace
}  // namespace lockstep::data
