#include "base/machine/cgroup.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace lockstep {
namespace {

/// A mounted hierarchy: `controllers` is empty for version 2.
struct Mount {
  std::string folder, root;
  std::vector<std::string> controllers;
};

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool Has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// proc(5), mountinfo: "36 35 98:0 ROOT FOLDER options [tags...] - TYPE source super-options".
std::vector<Mount> ReadMounts(const std::string& path) {
  std::vector<Mount> mounts;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = Split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    if (dash[1] == "cgroup2") mounts.push_back({words[4], words[3], {}});
    if (dash[1] == "cgroup") mounts.push_back({words[4], words[3], Split(dash[3], ',')});
  }
  return mounts;
}

/// The folders of group `group` and of those above it, as far as `mount` shows them.
std::vector<std::string> GroupFolders(const Mount& mount, std::string group) {
  if (mount.root != "/") {
    // Inside a container the mount may show only a part of the tree, and the group's path may still be the host's.
    group = group.starts_with(mount.root) ? group.substr(mount.root.size()) : "";
  }
  if (group.starts_with("/..")) group = "";
  std::vector<std::string> folders;
  while (!group.empty() && group != "/") {
    folders.push_back(mount.folder + group);
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
  folders.push_back(mount.folder);
  return folders;
}

/// The numbers in a one-line file; "max" ends them.
std::vector<int64_t> ReadNumbers(const std::string& path) {
  std::vector<int64_t> numbers;
  std::ifstream file(path);
  for (int64_t number; file >> number;) numbers.push_back(number);
  return numbers;
}

void LimitCores(const std::vector<int64_t>& quota_and_period, const std::string& folder, CgroupLimits& limits) {
  if (quota_and_period.size() != 2 || quota_and_period[0] <= 0 || quota_and_period[1] <= 0) return;
  const int cores = static_cast<int>((quota_and_period[0] + quota_and_period[1] - 1) / quota_and_period[1]);
  // Of equal quotas the outermost counts, which comes last: more processes share it.
  if (limits.cores != 0 && limits.cores < cores) return;
  limits.cores = cores;
  struct stat info = {};
  limits.cores_group = stat(folder.c_str(), &info) == 0 ? info.st_ino : 0;
}

void LimitMemory(const std::vector<int64_t>& bytes, CgroupLimits& limits) {
  constexpr int64_t kUnlimited = int64_t{1} << 60;  // version 1 writes "no limit" as the largest multiple of a page
  if (bytes.size() != 1 || bytes[0] >= kUnlimited || bytes[0] < 0) return;
  const size_t memory = static_cast<size_t>(bytes[0]);
  limits.memory = limits.memory == 0 ? memory : std::min(limits.memory, memory);
}

/// The number after "NAME " at the beginning of a line.
std::optional<uint64_t> ReadCounter(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  for (uint64_t count = 0; file >> word >> count;)
    if (word == name) return count;
  return std::nullopt;
}

}  // namespace

CgroupLimits ReadCgroupLimits(const std::string& root) {
  CgroupLimits limits;
  const std::vector<Mount> mounts = ReadMounts(root + "/proc/self/mountinfo");
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/group", and "0::/group" for version 2
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::vector<std::string> controllers = Split(line.substr(first + 1, second - first - 1), ',');
    for (const Mount& mount : mounts) {
      const bool unified = controllers.empty() && mount.controllers.empty();
      const bool cpu = Has(controllers, "cpu") && Has(mount.controllers, "cpu");
      const bool memory = Has(controllers, "memory") && Has(mount.controllers, "memory");
      if (!unified && !cpu && !memory) continue;
      for (const std::string& folder : GroupFolders({root + mount.folder, mount.root, {}}, line.substr(second + 1))) {
        if (unified) LimitCores(ReadNumbers(folder + "/cpu.max"), folder, limits);
        if (unified) LimitMemory(ReadNumbers(folder + "/memory.max"), limits);
        if (cpu) {
          std::vector<int64_t> quota = ReadNumbers(folder + "/cpu.cfs_quota_us");
          for (int64_t period : ReadNumbers(folder + "/cpu.cfs_period_us")) quota.push_back(period);
          LimitCores(quota, folder, limits);
        }
        if (memory) LimitMemory(ReadNumbers(folder + "/memory.limit_in_bytes"), limits);
      }
    }
  }
  return limits;
}

uint64_t ReadOomKills(const std::string& root) {
  const std::vector<Mount> mounts = ReadMounts(root + "/proc/self/mountinfo");
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::vector<std::string> controllers = Split(line.substr(first + 1, second - first - 1), ',');
    for (const Mount& mount : mounts) {
      const bool unified = controllers.empty() && mount.controllers.empty();
      if (!unified && !(Has(controllers, "memory") && Has(mount.controllers, "memory"))) continue;
      const std::string own = GroupFolders({root + mount.folder, mount.root, {}}, line.substr(second + 1)).front();
      if (const auto count = ReadCounter(own + (unified ? "/memory.events" : "/memory.oom_control"), "oom_kill"))
        return *count;
    }
  }
  return ReadCounter(root + "/proc/vmstat", "oom_kill").value_or(0);
}

}  // namespace lockstep
