#include "base/machine/host.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace lockstep {
namespace {

TEST(Host, IsDescribed) {
  const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  EXPECT_GT(MemoryLimit(), size_t{1} << 20);
  EXPECT_LE(MemoryLimit(), physical);
  EXPECT_FALSE(HostName().empty());
  EXPECT_EQ(HostName().find('.'), std::string::npos);
}

}  // namespace
}  // namespace lockstep
