#include "base/machine/nvml_meter.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Nvml, ReadsTheCounterOfOneGpu) {
  const auto meter = MakeNvmlMeter("GPU-1", LOCKSTEP_FAKE_NVML);
  ASSERT_NE(meter, nullptr);
  const double before = meter->Joules().value();
  EXPECT_DOUBLE_EQ(meter->Joules().value() - before, 1234.5);
}

TEST(Nvml, IsAbsentWithoutLibraryOrGpu) {
  EXPECT_EQ(MakeNvmlMeter("GPU-1", "libnowhere.so"), nullptr);
  EXPECT_EQ(MakeNvmlMeter("MIG-1", LOCKSTEP_FAKE_NVML), nullptr);
}

}  // namespace
}  // namespace lockstep
