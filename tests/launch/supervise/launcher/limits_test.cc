// Limits of open files and processes before mpirun is started.
#include "launch/supervise/launcher/limits.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::launch {
namespace {

constexpr MpirunVersion kFour{MpirunVersion::kOpenMpi, 4, 1};

/// Runs `body` in a process of its own, whose limits it may change; returns its exit code.
template <typename Body>
int InChild(rlim_t soft, rlim_t hard, const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{soft, hard};
    _exit(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? body() : 99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(OpenFiles, TooFewAreNamedBeforeTheStart) {
  EXPECT_EQ(InChild(28, 28,
                    [] {
                      try {
                        MakeRoomForRanks(kFour, 2);
                        return 1;
                      } catch (const Error& error) {
                        const bool told = error.kind() == ErrorKind::kUsage &&
                                          error.message().find("28 open files are too few") != std::string::npos;
                        return told ? 0 : 2;
                      }
                    }),
            0);
}

TEST(OpenFiles, ALimitOfOnesOwnIsRaised) {
  EXPECT_EQ(InChild(28, 200,
                    [] {
                      MakeRoomForRanks(kFour, 8);
                      rlimit limit{};
                      getrlimit(RLIMIT_NOFILE, &limit);
                      return static_cast<int>(limit.rlim_cur) >= OpenFilesOfMpirun(kFour, 8) ? 0 : 1;
                    }),
            0);
}

TEST(OpenFiles, EnoughStayAsTheyAre) {
  EXPECT_EQ(InChild(500, 1000,
                    [] {
                      MakeRoomForRanks(kFour, 8);
                      rlimit limit{};
                      getrlimit(RLIMIT_NOFILE, &limit);
                      return limit.rlim_cur == 500 ? 0 : 1;
                    }),
            0);
}

TEST(Processes, TheTightestOfTheGroupsCounts) {
  const TemporaryFolder root;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root / name).parent_path());
    std::ofstream(root / name) << text << "\n";
  };
  write("proc/self/cgroup", "0::/jobs/mine");
  EXPECT_EQ(RoomInControlGroups(root.path()), std::numeric_limits<uint64_t>::max());
  write("sys/fs/cgroup/jobs/mine/pids.max", "max");
  write("sys/fs/cgroup/jobs/pids.max", "100");
  write("sys/fs/cgroup/jobs/pids.current", "88");
  EXPECT_EQ(RoomInControlGroups(root.path()), 12u);
  write("proc/self/cgroup", "0::/\n7:pids:/mine");
  EXPECT_EQ(RoomInControlGroups(root.path()), std::numeric_limits<uint64_t>::max());
  write("sys/fs/cgroup/pids/mine/pids.max", "5");
  write("sys/fs/cgroup/pids/mine/pids.current", "9");
  EXPECT_EQ(RoomInControlGroups(root.path()), 0u);
}

TEST(Processes, TooFewAreNamedBeforeTheStart) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become a user without other processes";
  const int code = InChild(1000, 1000, [] {
    const rlimit few{12, 12};
    if (setrlimit(RLIMIT_NPROC, &few) != 0 || setuid(23457) != 0) return 98;
    try {
      MakeRoomForRanks(kFour, 2);
      return 1;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kMemory && error.where() == "ulimit -u" ? 0 : 2;
    }
  });
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace lockstep::launch
