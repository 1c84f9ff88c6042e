#include "base/machine/cpu_info.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace lockstep {
namespace {

TEST(CpuInfo, IsDescribed) {
  EXPECT_FALSE(CpuModel().empty());
  const std::vector<size_t> caches = CacheSizes();
  EXPECT_TRUE(std::is_sorted(caches.begin(), caches.end()));
  for (size_t size : caches) EXPECT_GE(size, 4096u);
#if defined(__x86_64__) && !defined(__clang__)  // clang 14 does not know these levels
  __builtin_cpu_init();
  EXPECT_EQ(DetectIsa() >= Isa::kAvx512, __builtin_cpu_supports("x86-64-v4") != 0);
  if (__builtin_cpu_supports("x86-64-v3")) {
    EXPECT_GE(DetectIsa(), Isa::kAvx2);
  }
#endif
}

}  // namespace
}  // namespace lockstep
