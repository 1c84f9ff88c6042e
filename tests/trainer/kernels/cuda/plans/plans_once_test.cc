// That cuDNN builds a plan once for each convolution and attention, however often its workspace and its kernels are
// asked for.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files/file.h"
#include "tests/trainer/kernels/cuda/plans/cudnn_recording.h"
#include "trainer/kernels/cuda/dense/cudnn_attention.h"
#include "trainer/kernels/cuda/dense/cudnn_convolution.h"

namespace lockstep::cuda {
namespace {

TEST(ConvolutionPlans, AreBuiltOnceForEachSpec) {
  const std::string path = fmt::format("{}/h100.json", LOCKSTEP_DEVICES);
  CudnnConvolutions library(CudnnDevice(ReadWholeFile(FileSystem::Real(), path)), FloatMath::kF32);
  ConvolutionSpec spec;
  spec.n = 4, spec.h = spec.w = 28, spec.c = spec.o = 64, spec.kh = spec.kw = 3, spec.padding = 1;
  spec.type = DType::kBF16;
  ConvolutionSpec other = spec;
  other.n = 8;

  int before = PlansMade();
  library.WorkspaceBytes(spec);
  EXPECT_GT(PlansMade(), before);
  library.WorkspaceBytes(other);

  // Describe finds its plans as Prepare does, which needs a device.
  before = PlansMade();
  library.Describe(spec);
  library.WorkspaceBytes(spec);
  library.Describe(other);
  EXPECT_EQ(PlansMade(), before);
}

TEST(AttentionPlans, AreBuiltOnceForEachSpec) {
  const std::string path = fmt::format("{}/h100.json", LOCKSTEP_DEVICES);
  CudnnAttention library(CudnnDevice(ReadWholeFile(FileSystem::Real(), path)));
  AttentionSpec spec{.rows = 2, .positions = 16, .heads = 2, .head_size = 8};
  int before = PlansMade();
  EXPECT_TRUE(library.Supports(spec));
  EXPECT_GE(PlansMade(), before + 2);

  before = PlansMade();
  for (const auto direction : {AttentionSpec::Direction::kForward, AttentionSpec::Direction::kGradient}) {
    spec.direction = direction;
    library.Supports(spec);
    library.WorkspaceBytes(spec);
    library.Describe(spec);
  }
  EXPECT_EQ(PlansMade(), before);
}

}  // namespace
}  // namespace lockstep::cuda
