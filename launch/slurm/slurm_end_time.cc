#include "launch/slurm/slurm_end_time.h"

#include <cstdlib>
#include <string>

#include "base/duration.h"
#include "base/error.h"
#include "base/log.h"
#include "launch/job/ranks.h"
#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {
namespace {

constexpr std::chrono::seconds kSqueueLimit(5);

}  // namespace

std::optional<std::chrono::steady_clock::time_point> EndOfSlurmJob() {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  const char* job = std::getenv("SLURM_JOB_ID");
  if (job == nullptr || !IsFirstProcess()) return std::nullopt;
  const steady_clock::time_point now = steady_clock::now();
  if (const char* end = std::getenv("SLURM_JOB_END_TIME"))
    if (const long long seconds = std::atoll(end); seconds > 0) {
      const auto left = system_clock::from_time_t(static_cast<time_t>(seconds)) - system_clock::now();
      if (left.count() > 0) return now + std::chrono::duration_cast<steady_clock::duration>(left);
      LogWarning(
          "SLURM_JOB_END_TIME says that Slurm job {} ended {} ago: this shell has outlived it, so its end is ignored "
          "(unset the SLURM_ variables, or start in a new shell)",
          job, InWords(-std::chrono::duration<double>(left).count()));
      return std::nullopt;
    }
  const Captured said = RunForOutput({"squeue", "-h", "-o", "%L", "-j", job}, kSqueueLimit);
  if (said.code != 0) return std::nullopt;
  const std::string left = said.output.substr(0, said.output.find_first_of("\r\n "));
  try {
    return now + std::chrono::seconds(ParseDuration(left, "squeue"));
  } catch (const Error&) {
    return std::nullopt;  // "UNLIMITED", "INVALID"
  }
}

}  // namespace lockstep::launch
