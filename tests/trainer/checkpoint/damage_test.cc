// No byte of a checkpoint can change, and no end of it be missing, without a word.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Damage : public testing::Test {
 protected:
  Damage() { folder_ = SmallRun(2, 16, 1).Write(files_, "checkpoints", 5, 1, 2, 4); }
  std::string Verify() {
    return CheckpointErrorOf([&] { Reader::Open(files_, folder_)->Verify(); });
  }

  MemoryFileSystem files_;
  std::string folder_;
};

TEST_F(Damage, EveryFlippedByteOfEveryFileIsFoundAndItsFileNamed) {
  ASSERT_EQ(Verify(), "no error");
  ASSERT_EQ(files_.Paths().size(), 3u);
  for (const std::string& path : files_.Paths()) {
    std::string& bytes = files_.Bytes(path);
    for (size_t i = 0; i < bytes.size(); ++i) {
      const char mask = static_cast<char>(1 << (i % 8));
      bytes[i] = static_cast<char>(bytes[i] ^ mask);
      ASSERT_THAT(Verify(), HasSubstr(path)) << "byte " << i;
      bytes[i] = static_cast<char>(bytes[i] ^ mask);
    }
  }
  EXPECT_EQ(Verify(), "no error");
}

TEST_F(Damage, EveryBitOfTheManifestCounts) {
  std::string& bytes = files_.Bytes(folder_ + "/manifest.pb");
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(Verify(), HasSubstr("manifest.pb: damaged manifest")) << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
}

TEST_F(Damage, ATruncationAtAnyLengthIsFound) {
  for (const std::string& path : files_.Paths()) {
    const std::string whole = files_.Bytes(path);
    for (size_t length = 0; length < whole.size(); ++length) {
      files_.Bytes(path) = whole.substr(0, length);
      ASSERT_THAT(Verify(), HasSubstr(path)) << "at " << length;
    }
    files_.Bytes(path) = whole + '\0';
    ASSERT_THAT(Verify(), HasSubstr(path)) << "one byte more";
    files_.Bytes(path) = whole;
  }
}

TEST_F(Damage, AMissingFileIsFound) {
  for (const std::string& path : files_.Paths()) {
    const std::string whole = files_.Bytes(path);
    files_.RemoveAll(path);
    EXPECT_THAT(Verify(), HasSubstr(path.ends_with("manifest.pb") ? "no manifest.pb" : path));
    const std::unique_ptr<WritableFile> again = files_.Create(path);
    again->Append(std::as_bytes(std::span(whole)));
  }
  EXPECT_EQ(Verify(), "no error");
}

TEST_F(Damage, ErrorsNameFileChunkAndOffset) {
  const std::string path = folder_ + "/" + ShardName(1, 1);
  files_.Bytes(path)[4096 + 17] ^= 1;
  const std::string message = Verify();
  EXPECT_THAT(message, HasSubstr(path + ": chunk 1 at byte 4112"));
  EXPECT_THAT(message, HasSubstr("state1"));
  files_.Bytes(path)[4096 + 17] ^= 1;
  files_.Bytes(path)[100] = 'x';
  EXPECT_THAT(Verify(), StartsWith(path + ": the header is damaged at byte 100 (name another checkpoint"));
}

TEST_F(Damage, AReadOfWholeChunksDoesNotMindDamageElsewhere) {
  files_.Bytes(folder_ + "/" + ShardName(1, 1))[4096] ^= 1;  // the first chunk of rank 1
  const std::unique_ptr<Reader> reader = Reader::Open(files_, folder_);
  int failed = 0;
  for (int64_t element = 0; element < 16; ++element) {
    float value = 0;
    failed += CheckpointErrorOf([&] { reader->Read(0, element, std::span(&value, 1)); }) != "no error";
    EXPECT_NO_THROW(reader->Read(1, element, std::span(&value, 1)));
  }
  EXPECT_EQ(failed, reader->manifest().files(1).chunks(0).elements());
}

TEST_F(Damage, AManifestInTheFolderOfAnotherStepIsRefused) {
  files_.Rename(folder_, "checkpoints/step-00000006");
  folder_ = "checkpoints/step-00000006";
  EXPECT_THAT(Verify(), HasSubstr("the manifest is of step 5, the folder of step 6"));
  files_.Rename(folder_, "checkpoints/kept");
  folder_ = "checkpoints/kept";
  EXPECT_EQ(Verify(), "no error");
}

}  // namespace
}  // namespace lockstep::checkpoint
