#include "trainer/records/lease_record.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json_fields.h"
#include "base/machine/host.h"

namespace lockstep::records {
namespace {

constexpr size_t kMaxLeaseBytes = 1 << 16;

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct ProcessState {
  char state = '?';
  uint64_t start = 0;  ///< clock ticks from boot
};

/// From /proc/PID/stat; none where there is no such process, or it can't be seen.
std::optional<ProcessState> StateOf(int64_t pid) {
  const std::string line = FirstLine(fmt::format("/proc/{}/stat", pid));
  // The second field is the program's name in parentheses, which may hold anything.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  ProcessState process;
  fields >> process.state;
  std::string skipped;
  constexpr int kStateField = 3, kStartField = 22;
  for (int field = kStateField + 1; field < kStartField; ++field) fields >> skipped;
  if (!(fields >> process.start)) return std::nullopt;
  return process;
}

uint64_t RandomId() {
  Hasher hasher;
  std::random_device random;
  hasher.AddInteger(uint64_t{random()} << 32 | random());
  hasher.AddInteger(static_cast<uint64_t>(getpid()));
  hasher.AddInteger(static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()));
  return hasher.Digest();
}

[[noreturn]] void Damaged(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kUsage, "damaged lease: " + what, where, "remove the file where no job runs in this folder");
}

}  // namespace

LeaseHolder LeaseHolder::Self() {
  LeaseHolder self;
  self.id = HashText(RandomId());
  self.host = HostName();
  self.pid = getpid();
  if (const auto process = StateOf(self.pid)) self.pid_start = process->start;
  self.boot_id = FirstLine("/proc/sys/kernel/random/boot_id");
  std::error_code error;
  self.pid_namespace = std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
  self.slurm_job = Environment("SLURM_JOB_ID");
  self.slurm_restart = static_cast<uint32_t>(std::strtoul(Environment("SLURM_RESTART_COUNT").c_str(), nullptr, 10));
  return self;
}

std::string LeaseHolder::Text() const {
  std::string text = fmt::format("host {}, pid {}", host, pid);
  if (!slurm_job.empty()) text += ", Slurm job " + slurm_job;
  return attempt > 0 ? fmt::format("attempt {} ({})", attempt, text) : text;
}

std::string FormatLease(const LeaseRecord& record) {
  const LeaseHolder& holder = record.holder;
  Json object = {{"version", kLeaseVersion},
                 {"id", holder.id},
                 {"host", holder.host},
                 {"pid", holder.pid},
                 {"pid_start", holder.pid_start},
                 {"boot_id", holder.boot_id},
                 {"pid_namespace", holder.pid_namespace},
                 {"attempt", holder.attempt},
                 {"step", record.step},
                 {"sequence", record.sequence},
                 {"period_seconds", record.period_seconds},
                 {"time", record.time}};
  if (!holder.slurm_job.empty()) {
    object["slurm_job"] = holder.slurm_job;
    object["slurm_restart"] = holder.slurm_restart;
  }
  return DumpJson(object, 2) + "\n";
}

LeaseRecord ParseLease(std::string_view text, const std::string& where) {
  if (text.size() > kMaxLeaseBytes) Damaged(where, fmt::format("it has {} bytes", text.size()));
  const Json object = ParseJsonObject(text);
  const JsonFields::Damaged damaged = [&](const std::string& what) { Damaged(where, what); };
  const JsonFields fields(object, damaged);
  const auto version = fields.GetOr<uint64_t>("version", 0);
  if (version > kLeaseVersion)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("lease format {} is newer than this program, which knows format {}", version, kLeaseVersion), where,
        "use the Lockstep that wrote it, or remove the file where no job runs in this folder");
  if (version < 1) Damaged(where, "it names no version");
  LeaseRecord record;
  LeaseHolder& holder = record.holder;
  holder.id = fields.GetOr<std::string>("id", "");
  holder.host = fields.GetOr<std::string>("host", "");
  holder.pid = fields.GetOr<int64_t>("pid", 0);
  holder.pid_start = fields.GetOr<uint64_t>("pid_start", 0);
  holder.boot_id = fields.GetOr<std::string>("boot_id", "");
  holder.pid_namespace = fields.GetOr<std::string>("pid_namespace", "");
  holder.slurm_job = fields.GetOr<std::string>("slurm_job", "");
  holder.slurm_restart = fields.GetOr<uint32_t>("slurm_restart", 0);
  holder.attempt = fields.GetOr<uint32_t>("attempt", 0);
  record.step = fields.GetOr<uint64_t>("step", 0);
  record.sequence = fields.GetOr<uint64_t>("sequence", 0);
  record.time = fields.GetOr<int64_t>("time", 0);
  if (holder.id.empty() || holder.host.empty() || holder.pid < 1) Damaged(where, "it names no holder");
  record.period_seconds = fields.Get<double>("period_seconds");
  constexpr double kLongestPeriod = 600;
  if (!(record.period_seconds > 0 && record.period_seconds <= kLongestPeriod))
    Damaged(where, fmt::format("its period is {} s", record.period_seconds));
  return record;
}

bool IsOfNewerVersion(std::string_view text) {
  return FieldOr<uint64_t>(ParseJsonObject(text), "version", 0) > kLeaseVersion;
}

bool ProvablyDead(const LeaseHolder& holder) {
  const LeaseHolder self = LeaseHolder::Self();
  if (self.boot_id.empty() || self.pid_namespace.empty()) return false;
  if (holder.host != self.host || holder.boot_id != self.boot_id || holder.pid_namespace != self.pid_namespace)
    return false;
  // Not by /proc alone: with hidepid, it hides other users' processes.
  if (!std::in_range<pid_t>(holder.pid)) return false;
  if (::kill(static_cast<pid_t>(holder.pid), 0) != 0 && errno == ESRCH) return true;
  const std::optional<ProcessState> process = StateOf(holder.pid);
  return process && (process->state == 'Z' || process->state == 'X' || process->start != holder.pid_start);
}

}  // namespace lockstep::records
