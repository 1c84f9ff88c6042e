#include "launch/slurm/slurm_end_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

using std::chrono::duration;
using std::chrono::system_clock;

class JobEnd : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::getenv("PATH");
    setenv("PATH", (temporary_ / "").c_str(), 1);
    for (const char* name : {"SLURM_JOB_END_TIME", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"}) unsetenv(name);
    setenv("SLURM_JOB_ID", "77", 1);
  }
  void TearDown() override {
    setenv("PATH", path_.c_str(), 1);
    for (const char* name : {"SLURM_JOB_ID", "SLURM_JOB_END_TIME", "OMPI_COMM_WORLD_RANK"}) unsetenv(name);
  }

  /// squeue says `left` of job 77, and fails for others.
  void Squeue(const std::string& left) {
    const std::filesystem::path program = temporary_ / "squeue";
    std::ofstream(program) << "#!/bin/sh\n[ \"$5\" = 77 ] || exit 1\necho '" << left << "'\n";
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  }

  /// Seconds from now; -1: not known.
  static double Left() {
    const auto end = EndOfSlurmJob();
    return end ? duration<double>(*end - std::chrono::steady_clock::now()).count() : -1;
  }

  TemporaryFolder temporary_;
  std::string path_;
};

TEST_F(JobEnd, IsWhatSqueueSays) {
  Squeue("1-00:10:00");
  EXPECT_NEAR(Left(), 86400 + 600, 30);
  Squeue("29:30");
  EXPECT_NEAR(Left(), 29 * 60 + 30, 30);
}

TEST_F(JobEnd, IsWhatTheEnvironmentSaysWhereItDoes) {
  Squeue("29:30");
  setenv("SLURM_JOB_END_TIME", std::to_string(system_clock::to_time_t(system_clock::now()) + 500).c_str(), 1);
  EXPECT_NEAR(Left(), 500, 30);
}

TEST_F(JobEnd, OfAJobThatIsOverIsSaidAndIgnored) {
  setenv("SLURM_JOB_END_TIME", std::to_string(system_clock::to_time_t(system_clock::now()) - 7200).c_str(), 1);
  testing::internal::CaptureStderr();
  EXPECT_EQ(Left(), -1);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("Slurm job 77 ended 2.0 h ago"));
}

TEST_F(JobEnd, IsNotKnownWithoutALimitAJobOrSqueue) {
  EXPECT_EQ(Left(), -1);  // no squeue
  Squeue("UNLIMITED");
  EXPECT_EQ(Left(), -1);
  Squeue("10:00");
  setenv("SLURM_JOB_ID", "78", 1);
  EXPECT_EQ(Left(), -1);
  unsetenv("SLURM_JOB_ID");
  EXPECT_EQ(Left(), -1);
}

TEST_F(JobEnd, IsAskedForByTheFirstRankAlone) {
  Squeue("10:00");
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  EXPECT_EQ(Left(), -1);
  setenv("OMPI_COMM_WORLD_RANK", "0", 1);
  EXPECT_NEAR(Left(), 600, 30);
}

}  // namespace
}  // namespace lockstep::launch
