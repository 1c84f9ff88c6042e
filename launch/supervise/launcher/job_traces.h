// What a job that was killed leaves behind, and only that job: other jobs of the same user run on the same machine.
//
// Its processes are found by LOCKSTEP_JOB in their environment. Its shared memory and session folders carry names that
// its ranks' environment tells (Observe, while they live), or the number of a process that is dead.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <ctime>
#include <set>
#include <string>
#include <vector>

#include "launch/supervise/launcher/rank_environment.h"

namespace lockstep::launch {

class JobTraces {
 public:
  /// `id` is the value of LOCKSTEP_JOB. Folders are below `root`, which tests set.
  explicit JobTraces(std::string id, std::string root = "");

  const std::string& id() const { return id_; }

  /// Living processes of the job on this host.
  std::vector<pid_t> Processes() const;
  /// Learns from the children of `launcher` what names the job uses. Cheap: may be called every second, until it
  /// returns true.
  bool Observe(pid_t launcher);
  /// Kills the job's processes on this host; returns whether none is left when `limit` is over.
  bool KillProcesses(std::chrono::milliseconds limit) const;
  /// Removes shared memory and session folders of the job. REQUIRES: none of its processes lives. Returns what was
  /// removed.
  std::vector<std::string> RemoveLeftovers() const;

 private:
  std::string id_, root_;
  std::time_t begun_;
  std::set<std::string> namespaces_;  // PMIx's name of the job: a number under Open MPI 4
  std::set<std::string> session_folders_;
};

/// A line for sh that does on another host what KillProcesses does here, and succeeds.
std::string RemoteCleanUp(const std::string& id);

}  // namespace lockstep::launch
