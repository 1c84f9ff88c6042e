#include "trainer/records/run_state.h"

#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "trainer/records/lease_record.h"

namespace lockstep::records {
namespace {

namespace fs = std::filesystem;

// Leases are renewed every few seconds; files on a network file system may be seen a little later.
constexpr double kAliveSeconds = 30;

double WrittenAt(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? static_cast<double>(status.st_mtim.tv_sec) : 0;
}

bool IsThere(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

/// Whether somebody works in the folder: its lease is young, and the holder not known to be dead. Without a lease
/// (released, or of a run without one) a young heartbeat tells, unless the last attempt `has_ended` by its own words.
bool IsAlive(const RunFolderReader& files, double now, bool has_ended) {
  const std::string& folder = files.folder();
  if (const double written = WrittenAt(folder + "/lease.json"); written > 0) {
    try {
      if (ProvablyDead(ParseLease(files.Text("lease.json"), folder).holder)) return false;
    } catch (const Error&) {
      // Its age still tells something.
    }
    return now - written < kAliveSeconds;
  }
  if (has_ended) return false;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder + "/heartbeat", ignored))
    if (now - WrittenAt(entry.path()) < kAliveSeconds) return true;
  return false;
}

}  // namespace

bool IsRunFolder(const std::string& folder) {
  for (const char* name : {"/recipe.textproto", "/attempts.jsonl", "/job.sbatch", "/supervisor.jsonl"})
    if (IsThere(folder + name)) return true;
  return false;
}

std::string StateOfRun(const RunFolderReader& files, double now) {
  const std::optional<AttemptEnding> ending = files.ReadEnding();
  const uint32_t attempt = files.LastAttempt();
  // A verdict on an older attempt is not about this one.
  const bool has_ended = ending && ending->attempt >= attempt;
  if (IsAlive(files, now, has_ended)) return "running";
  if (has_ended) return !ending->kind ? "done" : ending->kind == ErrorKind::kPreempted ? "stopped" : "failed";
  if (IsThere(files.folder() + "/done.json")) return "done";
  return attempt > 0 ? "killed" : "waiting";
}

}  // namespace lockstep::records
