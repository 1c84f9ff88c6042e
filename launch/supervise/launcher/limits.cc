#include "launch/supervise/launcher/limits.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "base/error.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();
// What is asked for where the hard limit allows it, in terms of what is needed.
constexpr int kRoomy = 2;

/// Raises a soft limit that is lower than `wanted`; returns what it is then.
uint64_t Raise(decltype(RLIMIT_NOFILE) resource, uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return kNoLimit;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::max(limit.rlim_cur, std::min<rlim_t>(limit.rlim_max, wanted));
    setrlimit(resource, &limit);
    getrlimit(resource, &limit);
  }
  return limit.rlim_cur == RLIM_INFINITY ? kNoLimit : limit.rlim_cur;
}

/// Processes and threads of this user, which a limit counts.
uint64_t ProcessesOfUser() {
  uint64_t count = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    std::ifstream file(entry.path() / "status");
    uint64_t threads = 0, user = kNoLimit;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("Uid:")) std::istringstream(line.substr(4)) >> user;
      if (line.starts_with("Threads:")) std::istringstream(line.substr(8)) >> threads;
    }
    if (user == getuid()) count += threads;
  }
  return count;
}

/// The number in a file; `otherwise` where there is none ("max").
uint64_t NumberIn(const fs::path& path, uint64_t otherwise) {
  std::ifstream file(path);
  uint64_t number = 0;
  return file >> number ? number : otherwise;
}

/// In the group at `path` below `root`, and all above it.
uint64_t RoomIn(const fs::path& root, const std::string& path) {
  uint64_t room = kNoLimit;
  for (fs::path group = fs::path(path).relative_path();; group = group.parent_path()) {
    const uint64_t most = NumberIn(root / group / "pids.max", kNoLimit);
    if (most != kNoLimit) room = std::min(room, most - std::min(most, NumberIn(root / group / "pids.current", 0)));
    if (group.empty()) return room;
  }
}

std::string Ranks(int ranks) { return fmt::format("{} rank{} on this host", ranks, ranks == 1 ? "" : "s"); }

std::string TooFew(uint64_t room, uint64_t needed, int ranks) {
  return fmt::format("there is room for {} processes and threads: mpirun needs {} at least for {}", room, needed,
                     Ranks(ranks));
}

void CheckProcesses(int ranks) {
  const auto needed = static_cast<uint64_t>(ProcessesOfMpirun(ranks));
  if (const uint64_t room = RoomInControlGroups(); room < needed)
    throw Error(ErrorKind::kMemory, TooFew(room, needed, ranks), "pids.max",
                "raise the control group's pids.max (of the container or job), or start fewer ranks");
  if (geteuid() == 0) return;  // whom the limit doesn't hold
  const uint64_t used = ProcessesOfUser(), limit = Raise(RLIMIT_NPROC, used + kRoomy * needed);
  if (limit == kNoLimit || limit >= used + needed) return;
  throw Error(ErrorKind::kMemory, TooFew(limit - std::min(limit, used), needed, ranks), "ulimit -u",
              "raise it with ulimit -u, or start fewer ranks");
}

}  // namespace

int OpenFilesOfMpirun(const MpirunVersion& version, int ranks) {
  // Open MPI 4.1 with 1 to 20 ranks on one host: with 27 and 4 a rank it started programs, with one less it hung. Of
  // others at least a rank's standard output, error and PMI are known.
  return version.kind == MpirunVersion::kOpenMpi ? 27 + 4 * ranks : 10 + 3 * ranks;
}

int ProcessesOfMpirun(int ranks) {
  // mpirun of Open MPI 4.1 has four threads; a rank has as many when MPI_Init has ended, and two before it can report.
  return 4 + 6 * ranks;
}

uint64_t RoomInControlGroups(const std::string& root) {
  uint64_t room = kNoLimit;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    // "0::/a/b" of version 2, "7:pids:/a/b" of version 1.
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) room = std::min(room, RoomIn(root + "/sys/fs/cgroup", path));
    if (controllers == "pids") room = std::min(room, RoomIn(root + "/sys/fs/cgroup/pids", path));
  }
  return room;
}

void MakeRoomForRanks(const MpirunVersion& version, int ranks) {
  const auto needed = static_cast<uint64_t>(OpenFilesOfMpirun(version, ranks));
  if (const uint64_t limit = Raise(RLIMIT_NOFILE, kRoomy * needed); limit < needed)
    throw Error(ErrorKind::kUsage,
                fmt::format("{} open files are too few: mpirun needs {} for {}", limit, needed, Ranks(ranks)),
                "ulimit -n", fmt::format("raise it with ulimit -n {}, or ask who set the limit", kRoomy * needed));
  CheckProcesses(ranks);
}

}  // namespace lockstep::launch
