#include "launch/slurm/slurm_end_time.h"

#include <cstdlib>
#include <string>

#include "base/duration.h"
#include "base/error.h"
#include "launch/job/ranks.h"
#include "launch/supervise/child_process.h"

namespace lockstep::launch {
namespace {

constexpr std::chrono::seconds kSqueueLimit(5);

}  // namespace

std::optional<std::chrono::system_clock::time_point> EndOfSlurmJob() {
  using std::chrono::system_clock;
  const char* job = std::getenv("SLURM_JOB_ID");
  if (job == nullptr || !IsFirstProcess()) return std::nullopt;
  if (const char* end = std::getenv("SLURM_JOB_END_TIME"))
    if (const long long seconds = std::atoll(end); seconds > 0)
      return system_clock::from_time_t(static_cast<time_t>(seconds));
  const auto asked = system_clock::now();
  const Captured said = RunForOutput({"squeue", "-h", "-o", "%L", "-j", job}, kSqueueLimit);
  if (said.code != 0) return std::nullopt;
  const std::string left = said.output.substr(0, said.output.find_first_of("\r\n "));
  try {
    return asked + std::chrono::seconds(ParseDuration(left, "squeue"));
  } catch (const Error&) {
    return std::nullopt;  // "UNLIMITED", "INVALID"
  }
}

}  // namespace lockstep::launch
