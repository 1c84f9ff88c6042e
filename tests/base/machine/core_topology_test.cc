#include "base/machine/core_topology.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

/// A make-believe /sys below a temporary folder.
class CoreTopologyTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = folder_ / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text << "\n";
  }
  void Siblings(int core, const std::string& list) {
    Write("sys/devices/system/cpu/cpu" + std::to_string(core) + "/topology/thread_siblings_list", list);
  }

  TemporaryFolder folder_;
};

TEST_F(CoreTopologyTest, TellsHardwareThreadsOfOneCoreAndNumaNodes) {
  for (int core : {0, 4}) Siblings(core, "0,4");
  for (int core : {1, 5}) Siblings(core, "1,5");
  for (int core : {2, 3}) Siblings(core, "2-3");
  Write("sys/devices/system/node/node0/cpulist", "0-1,4-5");
  Write("sys/devices/system/node/node1/cpulist", "2-3");
  Write("sys/devices/system/node/online", "0-1");
  EXPECT_EQ(DescribeCores(std::vector<int>{0, 1, 3, 4, 5}, folder_.path()),
            (std::vector<Core>{{0, 0, 0}, {1, 1, 0}, {3, 2, 1}, {4, 0, 0}, {5, 1, 0}}));
}

TEST_F(CoreTopologyTest, WhereNothingIsSaidACoreIsAPhysicalOneOfItsOwn) {
  EXPECT_EQ(DescribeCores(std::vector<int>{3, 7}, folder_.path()), (std::vector<Core>{{3, 3, 0}, {7, 7, 0}}));
}

TEST_F(CoreTopologyTest, ThisMachinesCoresAreDescribed) {
  const std::vector<Core> cores = DescribeCores(std::vector<int>{0});
  ASSERT_EQ(cores.size(), 1u);
  EXPECT_EQ(cores[0].number, 0);
  EXPECT_EQ(cores[0].physical, 0) << "no thread has a lesser number";
}

TEST(CoreList, IsReadAndWrittenAsLinuxDoes) {
  EXPECT_EQ(ParseCoreList("0-3,8,10-11"), (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
  EXPECT_EQ(FormatCoreList(ParseCoreList("0-3,8,10-11")), "0-3,8,10-11");
  EXPECT_EQ(FormatCoreList({}), "");
  for (const char* wrong : {"", "a", "3-1", "1-", "-1", "1,,2", "0-99999999"})
    EXPECT_TRUE(ParseCoreList(wrong).empty()) << wrong;
}

}  // namespace
}  // namespace lockstep
