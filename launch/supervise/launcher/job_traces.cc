#include "launch/supervise/launcher/job_traces.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The value of `name` in a block "A=1\0B=2\0"; empty where it is missing.
std::string ValueIn(const std::string& environment, const std::string& name) {
  const std::string start = name + "=";
  for (size_t at = 0; at < environment.size(); at = environment.find('\0', at) + 1) {
    if (environment.compare(at, start.size(), start) == 0) return environment.c_str() + at + start.size();
    if (environment.find('\0', at) == std::string::npos) break;
  }
  return "";
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
}

bool IsDead(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

/// Whether a name in /dev/shm is this user's, and was made since `begun`.
bool IsOurs(const fs::path& path, std::time_t begun) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 && status.st_uid == getuid() && status.st_mtime >= begun;
}

/// Whether Open MPI 4 named a segment so for one of the jobs: vader_segment.HOST.USER.JOB.N, with JOB in hexadecimal.
bool IsSegmentOf(const std::string& name, const std::set<std::string>& namespaces) {
  if (!name.starts_with("vader_segment.")) return false;
  return std::any_of(namespaces.begin(), namespaces.end(), [&](const std::string& job) {
    if (job.empty() || job.find_first_not_of("0123456789") != std::string::npos || job.size() > 10) return false;
    return name.find(fmt::format(".{:x}.", std::stoull(job))) != std::string::npos;
  });
}

/// Whether `name` is lockstep-USER-PID-RANDOM, as ranks call their segments, of this user and a process that is gone.
bool IsDeadRanks(const std::string& name) {
  const std::string start = fmt::format("lockstep-{}-", getuid());
  if (!name.starts_with(start)) return false;
  const std::string pid = name.substr(start.size(), name.find('-', start.size()) - start.size());
  return IsNumber(pid) && IsDead(std::stoi(pid));
}

}  // namespace

JobTraces::JobTraces(std::string id, std::string root)
    : id_(std::move(id)), root_(std::move(root)), begun_(std::time(nullptr)) {}

std::vector<pid_t> JobTraces::Processes() const {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_ + "/proc", ignored)) {
    const std::string name = entry.path().filename();
    // A process that has ended, and that its parent has not waited for yet, has no environment.
    if (IsNumber(name) && ValueIn(ReadAll(entry.path() / "environ"), kJobVariable) == id_)
      found.push_back(std::stoi(name));
  }
  return found;
}

bool JobTraces::Observe(pid_t launcher) {
  bool learned = false;
  std::istringstream children(ReadAll(fmt::format("{}/proc/{}/task/{}/children", root_, launcher, launcher)));
  for (pid_t child = 0; children >> child;) {
    const std::string environment = ReadAll(fmt::format("{}/proc/{}/environ", root_, child));
    if (ValueIn(environment, kJobVariable) != id_) continue;
    const std::string name = ValueIn(environment, "PMIX_NAMESPACE"),
                      folder = ValueIn(environment, "PMIX_SERVER_TMPDIR");
    if (name.empty()) continue;
    namespaces_.insert(name);
    // Folders of no other names are ever removed with all that is in them.
    const std::string base = fs::path(folder).parent_path().filename(), last = fs::path(folder).filename();
    if (base.starts_with("ompi.") && last == fmt::format("pid.{}", launcher)) session_folders_.insert(folder);
    if (last.starts_with("prte.") && last.find(fmt::format(".{}", launcher)) != std::string::npos)
      session_folders_.insert(folder);
    learned = true;
  }
  return learned;
}

bool JobTraces::KillProcesses(std::chrono::milliseconds limit) const {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const std::vector<pid_t> left = Processes();
    if (left.empty()) return true;
    for (const pid_t pid : left) kill(pid, SIGKILL);
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::vector<std::string> JobTraces::RemoveLeftovers() const {
  std::vector<std::string> removed;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_ + "/dev/shm", ignored)) {
    const std::string name = entry.path().filename();
    if (!IsOurs(entry.path(), begun_) || !(IsSegmentOf(name, namespaces_) || IsDeadRanks(name))) continue;
    if (unlink(entry.path().c_str()) == 0) removed.push_back(entry.path());
  }
  for (const std::string& folder : session_folders_)
    if (fs::remove_all(root_ + folder, ignored) > 0) removed.push_back(root_ + folder);
  return removed;
}

std::string RemoteCleanUp(const std::string& id) {
  return fmt::format(
      "for e in /proc/[0-9]*/environ; do if grep -qsxzF '{}={}' \"$e\"; then e=${{e%/environ}}; kill -9 "
      "\"${{e#/proc/}}\"; fi; done "
      "2>/dev/null; true",
      kJobVariable, id);
}

}  // namespace lockstep::launch
