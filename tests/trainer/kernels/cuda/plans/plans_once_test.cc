// That cuDNN builds a plan once for each convolution, however often its workspace and its kernels are asked for. Here
// descriptors are counted as they are made: this function takes the place of cuDNN's, and calls it.
#include <cudnn.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "trainer/kernels/cuda/cudnn_convolution.h"

namespace {

int plans_made = 0;

}  // namespace

extern "C" cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                      cudnnBackendDescriptor_t* descriptor) {
  static const auto next =
      reinterpret_cast<decltype(&cudnnBackendCreateDescriptor)>(dlsym(RTLD_NEXT, "cudnnBackendCreateDescriptor"));
  if (type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) ++plans_made;
  return next(type, descriptor);
}

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

  int before = plans_made;
  library.WorkspaceBytes(spec);
  EXPECT_GT(plans_made, before);
  library.WorkspaceBytes(other);

  // Describe finds its plans as Prepare does, which needs a device.
  before = plans_made;
  library.Describe(spec);
  library.WorkspaceBytes(spec);
  library.Describe(other);
  EXPECT_EQ(plans_made, before);
}

}  // namespace
}  // namespace lockstep::cuda
