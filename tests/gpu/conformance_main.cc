// gpu_conformance_test [GOOGLETEST OPTION...]: every op, forward and backward, on a real device. Ends with 77 where
// there is none. LOCKSTEP_CUDA_LIBRARY set to the emulated library tries the program itself.
#include <gtest/gtest.h>

#include <cstdio>

#include "base/threads.h"
#include "tests/gpu/kits.h"

int main(int argc, char** argv) {
  if (const std::string missing = lockstep::gpu::WhyNoDevice(); !missing.empty()) {
    std::printf("SKIPPED: there is no GPU here: %s\n", missing.c_str());
    return lockstep::gpu::kSkipped;
  }
  std::printf("device: %s\n", lockstep::gpu::Describe().c_str());
  testing::InitGoogleTest(&argc, argv);
  lockstep::PrepareComputeThread(1, "test");
  lockstep::gpu::Kit().device->UseOnThisThread();
  return RUN_ALL_TESTS();
}
