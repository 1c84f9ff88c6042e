// What DIR/lease.json says: which process holds a run folder, and how it is known to be alive or dead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::records {

inline constexpr int kLeaseVersion = 1;

/// A process, told apart from every other one, on this host or another.
struct LeaseHolder {
  std::string id;    ///< random; no two leases share one
  std::string host;  ///< without domain
  int64_t pid = 0;
  uint64_t pid_start = 0;     ///< clock ticks from boot to its start: pids are used again
  std::string boot_id;        ///< of the host's kernel
  std::string pid_namespace;  ///< containers on one kernel have the same pids
  std::string slurm_job;      ///< empty outside of Slurm
  uint32_t slurm_restart = 0;
  uint32_t attempt = 0;  ///< 0 until it is known

  /// This process, with a new id.
  static LeaseHolder Self();
  /// "attempt 3 (host h1, pid 123, Slurm job 77)".
  std::string Text() const;
};

/// What lease.json says.
struct LeaseRecord {
  LeaseHolder holder;
  uint64_t sequence = 0;
  double period_seconds = 0;
  uint64_t step = 0;  ///< that the run had come to
  int64_t time = 0;   ///< seconds since 1970 on the holder's clock: for people
};

std::string FormatLease(const LeaseRecord& record);
/// Throws Error(kUsage) at `where` for text that is no lease, or one of a newer version.
LeaseRecord ParseLease(std::string_view text, const std::string& where);
bool IsOfNewerVersion(std::string_view text);

/// Whether the holder certainly no longer runs. False where that can't be known from here.
bool ProvablyDead(const LeaseHolder& holder);

}  // namespace lockstep::records
