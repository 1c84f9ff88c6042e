#include "base/machine/cgroup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

/// A make-believe /proc and /sys below a temporary folder.
class CgroupTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const std::string whole = folder_ / path;
    std::filesystem::create_directories(std::filesystem::path(whole).parent_path());
    std::ofstream(whole) << text;
  }
  void Version2() {
    Write("proc/self/mountinfo",
          "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
          "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }

  TemporaryFolder folder_;
};

TEST_F(CgroupTest, NoGroupsMeanNoLimits) {
  const CgroupLimits limits = ReadCgroupLimits(folder_.path());
  EXPECT_EQ(limits.cores, 0);
  EXPECT_EQ(limits.memory, 0u);
}

TEST_F(CgroupTest, Version2TakesTheLeastOfOwnGroupAndThoseAbove) {
  Version2();
  Write("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  Write("sys/fs/cgroup/slurm/memory.max", "max\n");
  Write("sys/fs/cgroup/slurm/job_7/memory.max", "4000\n");
  Write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "8000\n");
  Write("sys/fs/cgroup/slurm/cpu.max", "350000 100000\n");
  Write("sys/fs/cgroup/slurm/job_7/cpu.max", "max 100000\n");
  Write("sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "800000 100000\n");
  const CgroupLimits limits = ReadCgroupLimits(folder_.path());
  EXPECT_EQ(limits.memory, 4000u);
  EXPECT_EQ(limits.cores, 4) << "3.5 cores, rounded up";
}

TEST_F(CgroupTest, TheGroupOfTheQuotaIsToldFromOthers) {
  Version2();
  Write("sys/fs/cgroup/pod/cpu.max", "200000 100000\n");
  Write("sys/fs/cgroup/pod/a/cpu.max", "200000 100000\n");
  Write("sys/fs/cgroup/pod/b/cpu.max", "100000 100000\n");
  const auto group = [&](const std::string& path) {
    Write("proc/self/cgroup", "0::" + path + "\n");
    return ReadCgroupLimits(folder_.path()).cores_group;
  };
  EXPECT_EQ(group("/pod"), group("/pod/a")) << "it has no tighter quota of its own: it shares its parent's";
  EXPECT_NE(group("/pod"), group("/pod/b"));
}

TEST_F(CgroupTest, Version2InsideANamespaceReadsTheMountItself) {
  Version2();
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/memory.max", "123456\n");
  Write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  const CgroupLimits limits = ReadCgroupLimits(folder_.path());
  EXPECT_EQ(limits.memory, 123456u);
  EXPECT_EQ(limits.cores, 1);
}

TEST_F(CgroupTest, Version1ReadsEachControllersOwnHierarchy) {
  Write("proc/self/mountinfo",
        "31 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "33 22 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n");
  Write("proc/self/cgroup", "4:cpuset:/\n3:cpu,cpuacct:/job\n2:memory:/job/step\n");
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "150000\n");
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "7000\n");
  Write("sys/fs/cgroup/memory/job/step/memory.limit_in_bytes", "9223372036854771712\n");
  const CgroupLimits limits = ReadCgroupLimits(folder_.path());
  EXPECT_EQ(limits.cores, 2);
  EXPECT_EQ(limits.memory, 7000u);
}

TEST_F(CgroupTest, AContainersMountOfAPartOfTheTreeIsUnderstood) {
  Write("proc/self/mountinfo", "32 22 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  Write("proc/self/cgroup", "2:memory:/docker/abc/inner\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n");
  Write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "3000\n");
  EXPECT_EQ(ReadCgroupLimits(folder_.path()).memory, 3000u);
}

TEST_F(CgroupTest, HybridSystemsReadBothVersions) {
  Write("proc/self/mountinfo",
        "31 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "32 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  Write("proc/self/cgroup", "2:memory:/job\n0::/job\n");
  Write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "5000\n");
  Write("sys/fs/cgroup/unified/job/cpu.max", "300000 100000\n");
  const CgroupLimits limits = ReadCgroupLimits(folder_.path());
  EXPECT_EQ(limits.memory, 5000u);
  EXPECT_EQ(limits.cores, 3);
}

TEST_F(CgroupTest, OomKillsAreCountedByTheOwnGroup) {
  Version2();
  Write("proc/self/cgroup", "0::/job_7\n");
  Write("proc/vmstat", "nr_free_pages 100\noom_kill 9\n");
  EXPECT_EQ(ReadOomKills(folder_.path()), 9u) << "where groups don't count";
  Write("sys/fs/cgroup/job_7/memory.events", "low 0\nhigh 0\nmax 17\noom 3\noom_kill 2\n");
  EXPECT_EQ(ReadOomKills(folder_.path()), 2u);
}

TEST_F(CgroupTest, OomKillsOfVersion1) {
  Write("proc/self/mountinfo", "31 22 0:27 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory\n");
  Write("proc/self/cgroup", "4:memory:/job_7\n0::/\n");
  Write("sys/fs/cgroup/memory/job_7/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
  EXPECT_EQ(ReadOomKills(folder_.path()), 5u);
}

TEST_F(CgroupTest, NobodyCountsOomKills) { EXPECT_EQ(ReadOomKills(folder_.path()), 0u); }

}  // namespace
}  // namespace lockstep
