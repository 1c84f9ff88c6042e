#include "trainer/checkpoint/same_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/checkpoint/memory_file_system.h"
#include "tests/trainer/checkpoint/small_run.h"
#include "trainer/graph/builder.h"

namespace lockstep::checkpoint {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// Of a layer with `outputs` outputs, named `name`.
engine::ParameterLayout LayoutOf(const std::string& name, int64_t outputs) {
  graph::Builder b(graph::Mode::kTrain, 2);
  b.SoftmaxCrossEntropy(b.Linear(b.Input("features", {5}, DType::kF32), name, outputs, true, {}), 0);
  return engine::ParameterLayout(b.Finish());
}

std::string MessageOf(const engine::ParameterLayout& stored, const engine::ParameterLayout& wanted) {
  MemoryFileSystem files;
  files.CreateFolders("run");
  const SmallRun run(1, stored.elements(), 3);
  Manifest manifest = run.Describe(7, 1, 1);
  manifest.clear_tensors();
  for (const engine::ArenaEntry& entry : stored.entries()) {
    Tensor& tensor = *manifest.add_tensors();
    tensor.set_name(entry.name);
    for (int i = 0; i < entry.shape.rank(); ++i) tensor.add_shape(entry.shape.dim(i));
    tensor.set_offset(entry.offset);
  }
  *manifest.add_files() = WriteShard(files, "run/step-00000007", 0, 1, "host", run.Cut(1, 4096)[0]);
  CommitManifest(files, "run/step-00000007", manifest);
  const auto reader = Reader::Open(files, "run/step-00000007");
  return CheckpointErrorOf([&] { RequireSameTensors(*reader, wanted); });
}

TEST(SameTensors, OfTheSameModelPass) { EXPECT_EQ(MessageOf(LayoutOf("out", 6), LayoutOf("out", 6)), "no error"); }

TEST(SameTensors, OfOtherModelsAreNamedThoughTheArenaIsAsLarge) {
  ASSERT_EQ(LayoutOf("out", 6).elements(), LayoutOf("out", 7).elements()) << "what there is more is in the padding";
  EXPECT_THAT(
      MessageOf(LayoutOf("out", 6), LayoutOf("out", 7)),
      testing::AllOf(StartsWith("run/step-00000007: it holds another model"), HasSubstr("out."), HasSubstr("not [7")));
  EXPECT_THAT(MessageOf(LayoutOf("out", 6), LayoutOf("other", 6)), HasSubstr("the recipe's has no out."));
}

}  // namespace
}  // namespace lockstep::checkpoint
