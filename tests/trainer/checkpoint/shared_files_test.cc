// Ranks that share files (checkpoint { files: N }): where their parts lie, that they are read as any others, that no
// byte between them can change, and that a crash at any operation leaves the old checkpoint or the new one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files/fault_file_system.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kMebibyte = 1 << 20;

std::vector<uint64_t> OffsetsOf(const std::vector<ShardPlace>& places) {
  std::vector<uint64_t> offsets;
  for (const ShardPlace& place : places) offsets.push_back(place.offset);
  return offsets;
}

std::set<std::string> NamesOf(const Manifest& manifest) {
  std::set<std::string> names;
  for (const ShardFile& file : manifest.files()) names.insert(file.name());
  return names;
}

TEST(PlaceShards, GivesEachRankItsOwnFileUnlessThereAreFewer) {
  const std::vector<uint64_t> bytes(4, 5000);
  for (const uint32_t files : {0u, 4u, 9u}) {
    const std::vector<ShardPlace> places = PlaceShards(bytes, files);
    ASSERT_EQ(places.size(), 4u);
    for (uint32_t rank = 0; rank < 4; ++rank) {
      EXPECT_EQ(places[rank].first, rank);
      EXPECT_EQ(places[rank].last, rank);
      EXPECT_EQ(places[rank].offset, 0u);
    }
  }
}

TEST(PlaceShards, DealsRunsOfRanksWhosePartsBeginAtWholeMebibytes) {
  const std::vector<uint64_t> bytes = {5000, kMebibyte, kMebibyte + 1, 0, 10};
  const std::vector<ShardPlace> one = PlaceShards(bytes, 1);
  EXPECT_THAT(OffsetsOf(one), ElementsAre(0, kMebibyte, 2 * kMebibyte, 4 * kMebibyte, 4 * kMebibyte));
  EXPECT_EQ(one[2].first, 0u);
  EXPECT_EQ(one[2].last, 4u);
  const std::vector<ShardPlace> two = PlaceShards(bytes, 2);
  EXPECT_THAT(OffsetsOf(two), ElementsAre(0, kMebibyte, 0, 2 * kMebibyte, 2 * kMebibyte));
  EXPECT_EQ(two[1].last, 1u);
  EXPECT_EQ(two[2].first, 2u);
}

TEST(PlaceShards, NeverMakesMoreFilesThanAskedFor) {
  for (uint32_t ranks = 1; ranks <= 40; ++ranks)
    for (uint32_t files = 1; files <= 40; ++files) {
      std::set<uint32_t> groups;
      const std::vector<uint64_t> bytes(ranks, 100);
      const std::vector<ShardPlace> places = PlaceShards(bytes, files);
      for (uint32_t rank = 0; rank < ranks; ++rank) {
        ASSERT_LE(places[rank].first, rank);
        ASSERT_GE(places[rank].last, rank);
        groups.insert(places[rank].first);
      }
      ASSERT_EQ(groups.size(), std::min(files, ranks));
    }
}

TEST(ShardFileName, NamesTheRanksAndParsesBack) {
  EXPECT_EQ((ShardFileName{0, 2, 7}.ToString()), "ranks-00000-00002.attempt-0007.shard");
  EXPECT_EQ(AttemptOfShard("ranks-00000-00002.attempt-0007.shard"), 7u);
  EXPECT_EQ(AttemptOfShard("ranks-00000-00002.attempt-0007.shard.tmp"), 7u);
  for (const char* other :
       {"ranks-00002-00002.attempt-0007.shard", "ranks-00003-00002.attempt-0007.shard",
        "ranks-00000.attempt-0007.shard", "rank-00000-00002.attempt-0007.shard", "ranks--1-2.shard"})
    EXPECT_EQ(AttemptOfShard(other), std::nullopt) << other;
}

struct Shape {
  int writers;
  uint32_t files;
  int readers;
};
class SharedRoundTrip : public testing::TestWithParam<Shape> {};

TEST_P(SharedRoundTrip, AnyNumberOfRanksReadsWhatOthersWroteTogether) {
  const auto [writers, shared, readers] = GetParam();
  const SmallRun run(2, 700'001, 7);
  MemoryFileSystem files;
  const std::string folder = run.Write(files, "checkpoints", 1200, 1, writers, 4096, shared);
  const std::unique_ptr<Reader> reader = Reader::Open(files, folder);
  EXPECT_EQ(reader->manifest().format_version(), 2u);
  EXPECT_EQ(NamesOf(reader->manifest()).size(), shared);
  EXPECT_EQ(files.List(folder).size(), shared + 1);
  std::vector<std::vector<float>> read(2, std::vector<float>(700'001));
  for (const auto& ranges : run.Cut(readers, 1))
    for (const OwnedRange& range : ranges)
      reader->Read(static_cast<int>(range.array), range.begin,
                   std::span(read[range.array]).subspan(static_cast<size_t>(range.begin), range.data.size()));
  EXPECT_EQ(read, run.arrays);
  EXPECT_NO_THROW(reader->Verify());
}

INSTANTIATE_TEST_SUITE_P(WritersFilesAndReaders, SharedRoundTrip,
                         testing::Values(Shape{5, 2, 5}, Shape{5, 2, 1}, Shape{5, 4, 3}, Shape{2, 1, 4},
                                         Shape{9, 1, 2}));

TEST(SharedFile, WithoutAnyTheFormatIsTheOldOne) {
  const SmallRun run(2, 5000, 1);
  MemoryFileSystem files;
  const std::string folder = run.Write(files, "checkpoints", 5, 1, 3, 4096, 3);
  EXPECT_EQ(Reader::Open(files, folder)->manifest().format_version(), 1u);
  EXPECT_THAT(files.List(folder), testing::Contains(ShardName(1, 1)));
}

TEST(SharedFile, HoldsAtEachOffsetTheBytesOfAShard) {
  const SmallRun run(2, 700'001, 7);
  MemoryFileSystem alone, together;
  const std::string folder = run.Write(alone, "checkpoints", 5, 1, 3);
  run.Write(together, "checkpoints", 5, 1, 3, 4096, 1);
  const std::string& shared = together.Bytes(folder + "/ranks-00000-00002.attempt-0001.shard");
  const Manifest manifest = Reader::Open(together, folder)->manifest();
  ASSERT_EQ(manifest.files_size(), 3);
  for (const ShardFile& file : manifest.files()) {
    EXPECT_EQ(file.offset() % kMebibyte, 0u);
    EXPECT_EQ(shared.substr(file.offset(), file.bytes()), alone.Bytes(folder + "/" + ShardName(file.rank(), 1)));
  }
  EXPECT_EQ(shared.size(), manifest.files(2).offset() + manifest.files(2).bytes());
}

TEST(SharedFile, IsWrittenByManyAtOnceInARealFolder) {
  const std::string root = ScratchFolder("checkpoint-shared");
  std::filesystem::remove_all(root);
  const SmallRun run(2, 300'000, 2);
  constexpr uint32_t kRanks = 6;
  const auto owned = run.Cut(kRanks, 4096);
  std::vector<uint64_t> bytes;
  for (const auto& ranges : owned) {
    std::vector<int64_t> sizes;
    for (const OwnedRange& range : ranges) sizes.push_back(static_cast<int64_t>(range.data.size()));
    bytes.push_back(ShardBytes(sizes));
  }
  const std::vector<ShardPlace> places = PlaceShards(bytes, 2);
  const std::string folder = root + "/checkpoints/step-00000042";
  std::vector<ShardFile> written(kRanks);
  std::vector<std::thread> ranks;
  for (uint32_t rank = 0; rank < kRanks; ++rank)
    ranks.emplace_back(
        [&, rank] { written[rank] = WriteShard(FileSystem::Real(), folder, rank, 1, "h", owned[rank], places[rank]); });
  for (std::thread& rank : ranks) rank.join();
  EXPECT_THAT(FileSystem::Real().List(folder),
              ElementsAre("ranks-00000-00002.attempt-0001.shard.tmp", "ranks-00003-00005.attempt-0001.shard.tmp"));
  Manifest manifest = run.Describe(42, 1, kRanks);
  for (const ShardFile& file : written) *manifest.add_files() = file;
  CommitManifest(FileSystem::Real(), folder, manifest);
  EXPECT_THAT(FileSystem::Real().List(folder), ElementsAre("manifest.pb", "ranks-00000-00002.attempt-0001.shard",
                                                           "ranks-00003-00005.attempt-0001.shard"));
  const std::unique_ptr<Reader> reader = Reader::Open(FileSystem::Real(), folder);
  reader->Verify();
  EXPECT_EQ(ReadArray(*reader, 1), run.arrays[1]);
  std::filesystem::remove_all(root);
}

TEST(SharedFile, NoByteOfItCanChangeNorItsEndBeMissing) {
  MemoryFileSystem files;
  const std::string folder = SmallRun(2, 16, 1).Write(files, "checkpoints", 5, 1, 2, 4, 1);
  const std::unique_ptr<Reader> reader = Reader::Open(files, folder);
  const std::string path = folder + "/" + reader->manifest().files(0).name();
  const auto verify = [&] { return CheckpointErrorOf([&] { Reader::Open(files, folder)->Verify(); }); };
  ASSERT_EQ(verify(), "no error");
  std::string& bytes = files.Bytes(path);
  // All of both parts, and every 997th byte of the gap.
  const uint64_t gap = reader->manifest().files(0).bytes(), second = reader->manifest().files(1).offset();
  for (size_t i = 0; i < bytes.size(); i += i >= gap && i + 997 < second ? 997 : 1) {
    bytes[i] = static_cast<char>(bytes[i] ^ 16);
    ASSERT_THAT(verify(), HasSubstr(path)) << "byte " << i;
    bytes[i] = static_cast<char>(bytes[i] ^ 16);
  }
  bytes[gap + 5] = 'x';
  EXPECT_THAT(verify(), HasSubstr(path + fmt::format(": the gap is damaged at byte {}", gap + 5)));
  bytes[gap + 5] = '\0';
  const std::string whole = bytes;
  for (const size_t length : {size_t{0}, size_t{100}, size_t{gap}, size_t{second}, whole.size() - 1}) {
    bytes = whole.substr(0, length);
    EXPECT_THAT(verify(), HasSubstr(path)) << length;
  }
  bytes = whole + '\0';
  EXPECT_THAT(verify(), HasSubstr(path));
}

struct Impossible {
  const char* name;
  std::function<void(Manifest&)> change;
  const char* message;
};
class ImpossibleSharing : public testing::TestWithParam<Impossible> {};

TEST_P(ImpossibleSharing, IsRefused) {
  MemoryFileSystem files;
  const std::string folder = SmallRun(2, 64, 1).Write(files, "checkpoints", 5, 1, 5, 4, 2);
  Manifest manifest = Reader::Open(files, folder)->manifest();
  ASSERT_EQ(manifest.files_size(), 5);
  ASSERT_EQ(manifest.files(1).rank(), 1u);
  GetParam().change(manifest);
  files.Bytes(folder + "/manifest.pb") = Seal(manifest);
  EXPECT_THAT(CheckpointErrorOf([&] { Reader::Open(files, folder); }), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Each, ImpossibleSharing,
    testing::Values(
        Impossible{"OldFormat", [](Manifest& m) { m.set_format_version(1); }, "format 1 has no files that ranks share"},
        Impossible{"Overlap", [](Manifest& m) { m.mutable_files(1)->set_offset(0); },
                   "rank 1 should begin at byte 1048576"},
        Impossible{"FarAway", [](Manifest& m) { m.mutable_files(1)->set_offset(uint64_t{1} << 62); },
                   "should begin at"},
        Impossible{"FirstNotAtZero", [](Manifest& m) { m.mutable_files(0)->set_offset(1 << 20); },
                   "should begin at byte 0"},
        Impossible{"OutOfOrder", [](Manifest& m) { m.mutable_files()->SwapElements(0, 1); },
                   "rank 1 should begin at byte 0"},
        Impossible{"Apart", [](Manifest& m) { m.mutable_files()->SwapElements(1, 4); }, "should begin at byte 0"},
        Impossible{"RankTwice", [](Manifest& m) { m.mutable_files(1)->set_rank(0); }, "is there twice"},
        Impossible{"RankElsewhere", [](Manifest& m) { m.mutable_files(1)->set_rank(3); }, "should be named"},
        Impossible{"WorldTooSmall", [](Manifest& m) { m.set_world_size(4); }, "among 4"},
        Impossible{"ChunkOffset", [](Manifest& m) { m.mutable_files(1)->mutable_chunks(0)->set_file_offset(4096); },
                   "should be at byte 1052672, not 4096"},
        Impossible{"OffsetOfAFileOfOne",
                   [](Manifest& m) {
                     for (ShardFile& file : *m.mutable_files()) file.set_name(ShardName(file.rank(), 1));
                   },
                   "rank 1 should begin at byte 0 of rank-00001"}),
    [](const testing::TestParamInfo<Impossible>& info) { return info.param.name; });

struct Failing {
  const char* name;
  FileOperation operation;
  Fault fault;
  bool and_after;
};
class SharedCrash : public testing::TestWithParam<Failing> {};

/// The step that is found whole, with the numbers that were written for it.
uint64_t FindWhole(FileSystem& files) {
  std::vector<std::string> passed_over;
  const std::unique_ptr<Reader> reader = FindNewest(files, "checkpoints", ~uint64_t{0}, &passed_over);
  EXPECT_THAT(passed_over, testing::IsEmpty());
  if (!reader) return 0;
  const SmallRun run(2, 64, reader->manifest().step());
  for (int array = 0; array < 2; ++array) EXPECT_EQ(ReadArray(*reader, array), run.arrays[static_cast<size_t>(array)]);
  return reader->manifest().step();
}

TEST_P(SharedCrash, LeavesTheOldOrTheNewCheckpointAtEveryOperation) {
  int committed = 0, lost = 0;
  for (int k = 1;; ++k) {
    SCOPED_TRACE(k);
    MemoryFileSystem memory;
    SmallRun(2, 64, 100).Write(memory, "checkpoints", 100, 1, 5, 4, 2);
    const std::vector<std::string> before = memory.Paths();
    FaultFileSystem files(memory, {.operation = GetParam().operation,
                                   .at = k,
                                   .fault = GetParam().fault,
                                   .and_after = GetParam().and_after,
                                   .error_number = ENOSPC});
    const std::string error =
        CheckpointErrorOf([&] { SmallRun(2, 64, 200).Write(files, "checkpoints", 200, 2, 5, 4, 2); });
    if (files.count() < k) {
      EXPECT_EQ(error, "no error");
      break;
    }
    for (const auto survives :
         {MemoryFileSystem::Survives::kAll, MemoryFileSystem::Survives::kDurable, MemoryFileSystem::Survives::kNames}) {
      const std::unique_ptr<MemoryFileSystem> after = memory.Crash(survives);
      const uint64_t found = FindWhole(*after);
      EXPECT_THAT(found, testing::AnyOf(100u, 200u));
      if (error == "no error") {
        EXPECT_EQ(found, 200u) << "what was reported as committed must be durable";
      }
      (found == 200 ? committed : lost)++;
      // The next attempt goes on over whatever is left, and sweeps it away.
      SmallRun(2, 64, 200).Write(*after, "checkpoints", 200, 3, 5, 4, 2);
      EXPECT_EQ(FindWhole(*after), 200u);
      EXPECT_THAT(after->List("checkpoints/step-00000200"), testing::SizeIs(3));
    }
    // The same attempt, after a failure: nothing is left of it, or, where that failed too, it is written over.
    if (FindWhole(memory) == 200) continue;
    DiscardUnfinished(memory, "checkpoints/step-00000200");
    EXPECT_EQ(memory.Paths(), before);
  }
  // A look that fails is no reason not to commit.
  EXPECT_EQ(lost == 0, GetParam().operation == FileOperation::kAnyRead);
  if (GetParam().operation == FileOperation::kAny || GetParam().operation == FileOperation::kAnyRead) {
    EXPECT_GT(committed, 0);
  }
}

TEST(SharedFile, OfTheSameAttemptIsWrittenOverWhereItWasNotFinished) {
  MemoryFileSystem memory;
  FaultFileSystem files(memory, {.operation = FileOperation::kRename, .at = 2, .fault = Fault::kFail});
  const SmallRun run(2, 64, 200);
  EXPECT_NE(CheckpointErrorOf([&] { run.Write(files, "checkpoints", 200, 1, 5, 4, 2); }), "no error");
  run.Write(files, "checkpoints", 200, 1, 5, 4, 2);
  EXPECT_EQ(FindWhole(memory), 200u);
  EXPECT_THAT(memory.List("checkpoints/step-00000200"), testing::SizeIs(3));
}

INSTANTIATE_TEST_SUITE_P(Each, SharedCrash,
                         testing::Values(Failing{"Stop", FileOperation::kAny, Fault::kFail, true},
                                         Failing{"OneFailure", FileOperation::kAny, Fault::kFail, false},
                                         Failing{"ShortWriteThenStop", FileOperation::kAny, Fault::kShorten, true},
                                         Failing{"OneShortWrite", FileOperation::kAppend, Fault::kShorten, false},
                                         Failing{"FailedSync", FileOperation::kSync, Fault::kFail, false},
                                         Failing{"FailedClose", FileOperation::kClose, Fault::kFail, false},
                                         Failing{"FailedRename", FileOperation::kRename, Fault::kFail, false},
                                         Failing{"FailedFolderSync", FileOperation::kSyncFolder, Fault::kFail, false},
                                         Failing{"OneFailedRead", FileOperation::kAnyRead, Fault::kFail, false},
                                         Failing{"ReadsStop", FileOperation::kAnyRead, Fault::kFail, true}),
                         [](const testing::TestParamInfo<Failing>& info) { return info.param.name; });

}  // namespace
}  // namespace lockstep::checkpoint
