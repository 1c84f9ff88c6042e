// A manifest whose hash fits may still say what can't be: it is refused before anything is allocated or read by it.
#include "trainer/checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::checkpoint {
namespace {

using testing::HasSubstr;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

struct Impossible {
  const char* name;
  std::function<void(Manifest&)> change;
  const char* message;
};

class ImpossibleManifest : public testing::TestWithParam<Impossible> {};

TEST_P(ImpossibleManifest, IsRefused) {
  MemoryFileSystem files;
  const std::string folder = SmallRun(2, 16, 1).Write(files, "checkpoints", 5, 1, 2, 4);
  Manifest manifest = Reader::Open(files, folder)->manifest();
  GetParam().change(manifest);
  files.Bytes(folder + "/manifest.pb") = Seal(manifest);
  EXPECT_THAT(CheckpointErrorOf([&] { Reader::Open(files, folder); }), HasSubstr(GetParam().message));
}

Chunk* FirstChunk(Manifest& m) { return m.mutable_files(0)->mutable_chunks(0); }

INSTANTIATE_TEST_SUITE_P(
    Each, ImpossibleManifest,
    testing::Values(
        Impossible{"Newer", [](Manifest& m) { m.set_format_version(3); }, "newer than this program"},
        Impossible{"NoVersion", [](Manifest& m) { m.set_format_version(0); }, "names no format version"},
        Impossible{"NoArena", [](Manifest& m) { m.set_arena_elements(0); }, "arena_elements is 0"},
        Impossible{"HugeArena", [](Manifest& m) { m.set_arena_elements(kHuge); }, "arena_elements is"},
        Impossible{"LargerArena", [](Manifest& m) { m.set_arena_elements(17); },
                   "element 16 of array weights is in no"},
        Impossible{"NoArrays", [](Manifest& m) { m.clear_arrays(); }, "0 arrays"},
        Impossible{"NoWeights", [](Manifest& m) { m.set_arrays(0, "momentum"); }, "not weights"},
        Impossible{"ArrayTwice", [](Manifest& m) { m.set_arrays(1, "weights"); }, "is there twice"},
        Impossible{"ArrayUncovered", [](Manifest& m) { m.add_arrays("ema"); }, "element 0 of array ema is in no chunk"},
        Impossible{"TensorTwice", [](Manifest& m) { *m.add_tensors() = m.tensors(0); }, "is there twice"},
        Impossible{"TensorsOverlap", [](Manifest& m) { m.mutable_tensors(1)->set_offset(3); }, "overlap"},
        Impossible{"TensorOutside", [](Manifest& m) { m.mutable_tensors(1)->set_offset(13); }, "outside the arena"},
        Impossible{"TensorBefore", [](Manifest& m) { m.mutable_tensors(1)->set_offset(-1); }, "outside the arena"},
        Impossible{"TensorHuge",
                   [](Manifest& m) {
                     m.mutable_tensors(0)->set_shape(0, kHuge);
                     m.mutable_tensors(0)->set_shape(1, kHuge);
                   },
                   "a dimension of"},
        Impossible{"TensorNegative", [](Manifest& m) { m.mutable_tensors(0)->set_shape(0, -2); }, "a dimension of -2"},
        Impossible{"TensorRank",
                   [](Manifest& m) {
                     for (int i = 0; i < 6; ++i) m.mutable_tensors(0)->add_shape(1);
                   },
                   "8 dimensions"},
        Impossible{"FileOutside", [](Manifest& m) { m.mutable_files(0)->set_name("../../other"); }, "should be named"},
        Impossible{"FileTwice", [](Manifest& m) { *m.add_files() = m.files(0); }, "is there twice"},
        Impossible{"FileMissing", [](Manifest& m) { m.mutable_files()->RemoveLast(); }, "is in no chunk"},
        Impossible{"RankOutside", [](Manifest& m) { m.set_world_size(1); }, "rank 1 among 1"},
        Impossible{"OtherAttempt", [](Manifest& m) { m.set_attempt(2); }, "should be named"},
        Impossible{"FileSize", [](Manifest& m) { m.mutable_files(0)->set_bytes(1); }, "bytes by its chunks, not 1"},
        Impossible{"ChunkArray", [](Manifest& m) { FirstChunk(m)->set_array(2); }, "outside its array"},
        Impossible{"ChunkEmpty", [](Manifest& m) { FirstChunk(m)->set_elements(0); }, "outside its array"},
        Impossible{"ChunkHuge", [](Manifest& m) { FirstChunk(m)->set_elements(kHuge); }, "outside its array"},
        Impossible{"ChunkBegin", [](Manifest& m) { FirstChunk(m)->set_begin(kHuge); }, "outside its array"},
        Impossible{"ChunkOffset", [](Manifest& m) { FirstChunk(m)->set_file_offset(0); }, "should be at byte 4096"},
        Impossible{"ChunksOverlap",
                   [](Manifest& m) {
                     Chunk* chunk = FirstChunk(m);
                     chunk->set_begin(chunk->begin() == 0 ? 4 : 0);
                   },
                   "of array weights is in"},
        Impossible{"ArrayCoveredTwice",
                   [](Manifest& m) {
                     for (ShardFile& file : *m.mutable_files())
                       for (Chunk& chunk : *file.mutable_chunks()) chunk.set_array(0);
                   },
                   "of array weights is in two chunks"}),
    [](const testing::TestParamInfo<Impossible>& info) { return info.param.name; });

TEST(Manifest, OfANewerFormatNamesTheVersionThatWroteIt) {
  Manifest manifest = SmallRun(1, 16, 1).Describe(5, 1, 1);
  manifest.set_format_version(3);
  manifest.set_lockstep_version("3.0.0");
  EXPECT_EQ(CheckpointErrorOf([&] { DecodeManifest(Seal(manifest), "m"); }),
            "m: checkpoint format 3 is newer than this program, which knows formats up to 2 (use the Lockstep that "
            "wrote it, version 3.0.0, or a newer one)");
}

TEST(Manifest, IsAProtobufMessageWhoseLastFieldIsItsHash) {
  Manifest manifest = SmallRun(1, 16, 1).Describe(5, 1, 1);
  const std::string bytes = EncodeManifest(manifest);
  Manifest parsed;
  ASSERT_TRUE(parsed.ParseFromString(bytes));
  EXPECT_NE(parsed.self_hash(), 0u);
  parsed.clear_self_hash();
  manifest.set_format_version(1);
  EXPECT_EQ(parsed.DebugString(), manifest.DebugString());
}

}  // namespace
}  // namespace lockstep::checkpoint
