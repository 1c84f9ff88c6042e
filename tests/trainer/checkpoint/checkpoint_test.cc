// What is written is what is read, whatever ranks wrote and read it; and the bytes are those of the format document.
#include "trainer/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/hash.h"
#include "tests/base/error_of.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/checkpoint/shard_format.h"
#include "trainer/checkpoint/weights_hash.h"

namespace lockstep::checkpoint {
namespace {

using testing::HasSubstr;

TEST(FolderName, HasEightDigitsOrMoreAndParsesBack) {
  EXPECT_EQ(FolderName(1200), "step-00001200");
  EXPECT_EQ(FolderName(123456789012), "step-123456789012");
  EXPECT_EQ(ParseFolderName("step-00001200"), 1200u);
  EXPECT_EQ(ParseFolderName("step-123456789012"), 123456789012u);
  for (const char* other : {"step-1200", "step-", "step-0000120x", "step-00001200.tmp", "steps", "step--0000001"})
    EXPECT_EQ(ParseFolderName(other), std::nullopt) << other;
}

TEST(ShardName, TellsItsAttempt) {
  EXPECT_EQ(ShardName(3, 2), "rank-00003.attempt-0002.shard");
  EXPECT_EQ(AttemptOfShard("rank-00003.attempt-0002.shard"), 2u);
  EXPECT_EQ(AttemptOfShard("rank-00003.attempt-0002.shard.tmp"), 2u);
  EXPECT_EQ(AttemptOfShard(TemporaryName("rank-00003.attempt-0002.shard")), 2u);
  for (const char* other : {"manifest.pb", "rank-3.attempt-2.shard", "rank-00003.attempt-0002.shard.bak", "notes.txt"})
    EXPECT_EQ(AttemptOfShard(other), std::nullopt) << other;
}

struct Ranks {
  int writers, readers;
};
class RoundTrip : public testing::TestWithParam<Ranks> {};

// 700 thousand elements: several chunks of 1 MiB, and an end that is no multiple of anything.
TEST_P(RoundTrip, AnyNumberOfRanksReadsWhatAnyOtherWrote) {
  const SmallRun run(3, 700'001, 7);
  MemoryFileSystem files;
  const std::string folder = run.Write(files, "checkpoints", 1200, 1, GetParam().writers);
  const std::unique_ptr<Reader> reader = Reader::Open(files, folder);
  EXPECT_EQ(reader->ArrayIndex("state2"), 2);
  EXPECT_EQ(reader->ArrayIndex("state3"), -1);
  std::vector<std::vector<float>> read(3, std::vector<float>(700'001));
  for (const auto& ranges : run.Cut(GetParam().readers, 1)) {
    for (const OwnedRange& range : ranges)
      reader->Read(static_cast<int>(range.array), range.begin,
                   std::span(read[range.array]).subspan(static_cast<size_t>(range.begin), range.data.size()));
  }
  EXPECT_EQ(read, run.arrays);
  EXPECT_NO_THROW(reader->Verify());
}

INSTANTIATE_TEST_SUITE_P(WritersAndReaders, RoundTrip,
                         testing::Values(Ranks{1, 1}, Ranks{1, 5}, Ranks{2, 3}, Ranks{3, 2}, Ranks{5, 1}, Ranks{8, 8}));

TEST(Checkpoint, KeepsEverythingThatTheManifestWasGiven) {
  const SmallRun run(2, 16, 1);
  MemoryFileSystem files;
  const std::string folder = run.Write(files, "checkpoints", 5, 3, 2, 4);
  Manifest expected = run.Describe(5, 3, 2);
  Manifest manifest = Reader::Open(files, folder)->manifest();
  EXPECT_EQ(manifest.format_version(), 1u) << "older programs read what has no shared files";
  EXPECT_EQ(manifest.files_size(), 2);
  EXPECT_EQ(manifest.files(1).host(), "host1");
  manifest.clear_files();
  manifest.clear_self_hash();
  expected.set_format_version(1);
  EXPECT_EQ(manifest.DebugString(), expected.DebugString());
}

TEST(Checkpoint, HasTheSameBytesWheneverItIsWritten) {
  const SmallRun run(2, 5000, 1);
  MemoryFileSystem a, b;
  run.Write(a, "checkpoints", 5, 1, 3);
  run.Write(b, "checkpoints", 5, 1, 3);
  ASSERT_EQ(a.Paths(), b.Paths());
  for (const std::string& path : a.Paths()) EXPECT_EQ(a.Bytes(path), b.Bytes(path)) << path;
}

TEST(Checkpoint, WorksInARealFolder) {
  const std::string root = ScratchFolder("checkpoint-real");
  std::filesystem::remove_all(root);
  const SmallRun run(2, 10'000, 2);
  const std::string folder = run.Write(FileSystem::Real(), root + "/checkpoints", 42, 1, 3);
  const std::unique_ptr<Reader> reader = OpenPath(FileSystem::Real(), root);
  EXPECT_EQ(reader->folder(), folder);
  EXPECT_EQ(ReadArray(*reader, 1), run.arrays[1]);
  EXPECT_EQ(FileSystem::Real().List(folder).size(), 4u);  // three shards, the manifest, no temporary file
  std::filesystem::remove_all(root);
}

TEST(Reader, ReadsOnlyTheChunksItNeeds) {
  const SmallRun run(2, 1'000'000, 3);
  MemoryFileSystem files;
  const std::string folder = run.Write(files, "checkpoints", 1, 1, 1, 1'000'000);
  const std::unique_ptr<Reader> reader = Reader::Open(files, folder);
  const uint64_t before = files.bytes_read();
  std::vector<float> values(10);
  reader->Read(1, 300'000, values);
  EXPECT_EQ(files.bytes_read() - before, static_cast<uint64_t>(kMaxChunkElements) * sizeof(float));
  EXPECT_EQ(values[9], run.arrays[1][300'009]);
}

// docs/checkpoint-format.md, "A worked example".
TEST(Shard, HasTheBytesOfTheFormatDocument) {
  const std::vector<float> weights = {1.0f, -2.0f, 0.5f}, momentum = {0.0f};
  const OwnedRange ranges[] = {{0, 8, weights}, {1, 8, momentum}};
  MemoryFileSystem files;
  const ShardFile file = WriteShard(files, "step-00000001", 3, 2, "h1", ranges);
  EXPECT_EQ(file.bytes(), 4096u + 16 + 64 + 32);
  const std::string& bytes = files.Bytes("step-00000001/rank-00003.attempt-0002.shard");
  const auto integer = [&](size_t at, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) value |= uint64_t{static_cast<uint8_t>(bytes[at + i])} << (8 * i);
    return value;
  };
  ASSERT_EQ(bytes.size(), file.bytes());
  EXPECT_EQ(bytes.substr(0, 8), "LKSTSHRD");
  EXPECT_EQ(integer(8, 4), 1u);   // format version
  EXPECT_EQ(integer(12, 4), 3u);  // rank
  EXPECT_EQ(integer(16, 4), 2u);  // attempt
  EXPECT_EQ(integer(20, 4), 2u);  // chunks
  EXPECT_EQ(bytes.substr(24, 4096 - 24), std::string(4096 - 24, '\0'));
  EXPECT_EQ(bytes.substr(4096, 16),
            std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0\x00\x00\x00\x3f\x00\x00\x00\x00", 16));
  EXPECT_EQ(integer(4112, 8), 0u);  // chunk 0: array, begin, elements, hash
  EXPECT_EQ(integer(4120, 8), 8u);
  EXPECT_EQ(integer(4128, 8), 3u);
  EXPECT_EQ(integer(4136, 8), Hash64(bytes.substr(4096, 12)));
  EXPECT_EQ(HashText(integer(4136, 8)), "a26289f6e5f709a4");
  EXPECT_EQ(integer(4144, 8), 1u);  // chunk 1
  EXPECT_EQ(integer(4152, 8), 8u);
  EXPECT_EQ(integer(4160, 8), 1u);
  EXPECT_EQ(integer(4168, 8), Hash64(bytes.substr(4108, 4)));
  EXPECT_EQ(HashText(integer(4168, 8)), "48b2c92616fc193d");
  EXPECT_EQ(integer(4176, 8), 2u);     // chunks
  EXPECT_EQ(integer(4184, 8), 4112u);  // where the index begins
  EXPECT_EQ(integer(4192, 8), Hash64(bytes.substr(0, 4096) + bytes.substr(4112, 80)));
  EXPECT_EQ(HashText(integer(4192, 8)), "86ba0db20bd15aab");
  EXPECT_EQ(bytes.substr(4200), "LKSTTAIL");
}

TEST(WeightsHash, IsOfNamesAndBytesOfParametersInNameOrder) {
  SmallRun run(2, 16, 1);
  MemoryFileSystem files;
  const std::string folder = run.Write(files, "checkpoints", 5, 1, 2, 4);
  const auto bytes = [&](size_t begin, size_t size) {
    return std::string(reinterpret_cast<const char*>(run.arrays[1].data() + begin), size * sizeof(float));
  };
  EXPECT_EQ(WeightsHash(*Reader::Open(files, folder), 1), Hash64("a.weight" + bytes(0, 4) + "b.weight" + bytes(4, 4)));
}

TEST(CommitManifest, RefusesAsABugWhatDoesNotCoverTheArrays) {
  const SmallRun run(1, 16, 1);
  MemoryFileSystem files;
  Manifest manifest = run.Describe(5, 1, 1);
  const OwnedRange half[] = {{0, 0, std::span(run.arrays[0]).first(8)}};
  *manifest.add_files() = WriteShard(files, "checkpoints/step-00000005", 0, 1, "h", half);
  try {
    CommitManifest(files, "checkpoints/step-00000005", manifest);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_THAT(error.what(), HasSubstr("element 8 of array weights is in no chunk"));
  }
  EXPECT_TRUE(ListSteps(files, "checkpoints").empty());
}

TEST(CommitManifest, RemovesWhatEarlierAttemptsLeftAndNothingElse) {
  const SmallRun run(1, 16, 1);
  MemoryFileSystem files;
  const std::string folder = "checkpoints/step-00000005";
  const OwnedRange all[] = {{0, 0, run.arrays[0]}};
  WriteShard(files, folder, 0, 1, "h", all);
  WriteShard(files, folder, 7, 1, "h", all);
  WriteShard(files, folder, 0, 3, "h", all);  // by an attempt that has overtaken this one
  files.Create(folder + "/rank-00001.attempt-0001.shard.tmp");
  files.Create(TemporaryName(folder + "/rank-00001.attempt-0001.shard"));
  files.Create(TemporaryName(folder + "/manifest.pb"));
  files.Create(folder + "/notes.txt");
  run.Write(files, "checkpoints", 5, 2, 1);
  EXPECT_THAT(files.List(folder), testing::ElementsAre("manifest.pb", "notes.txt", "rank-00000.attempt-0002.shard",
                                                       "rank-00000.attempt-0003.shard"));
}

TEST(CommitManifest, OfASupersededAttemptIsRefused) {
  MemoryFileSystem files;
  const std::string folder = SmallRun(1, 16, 1).Write(files, "checkpoints", 5, 4, 1);
  const Error error = ErrorOf([&] { SmallRun(1, 16, 2).Write(files, "checkpoints", 5, 3, 1); });
  EXPECT_EQ(error.kind(), ErrorKind::kSuperseded);
  EXPECT_THAT(error.message(), HasSubstr("attempt 4 has committed this step; attempt 3 is superseded"));
  EXPECT_EQ(Reader::Open(files, folder)->manifest().attempt(), 4u);
  EXPECT_NO_THROW(Reader::Open(files, folder)->Verify());
}

TEST(CommitManifest, ReplacesADamagedCheckpointOfTheSameStep) {
  MemoryFileSystem files;
  const std::string folder = SmallRun(1, 16, 1).Write(files, "checkpoints", 5, 1, 2, 4);
  files.Bytes(folder + "/" + ShardName(0, 1))[4100] ^= 1;
  files.Bytes(folder + "/manifest.pb")[3] ^= 1;
  const SmallRun second(1, 16, 2);
  second.Write(files, "checkpoints", 5, 2, 1, 4);
  EXPECT_EQ(ReadArray(*Reader::Open(files, folder), 0), second.arrays[0]);
  EXPECT_EQ(files.List(folder).size(), 2u);
}

}  // namespace
}  // namespace lockstep::checkpoint
