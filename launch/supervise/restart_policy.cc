#include "launch/supervise/restart_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::launch {
namespace {

constexpr int kLongestDelay = 60;

/// Exit codes of what would only happen again.
bool IsFinal(int code) { return code >= 2 && code <= 5; }

Decision Finish(int code, std::string reason = "") { return {Decision::kFinish, code, 0, std::move(reason)}; }

}  // namespace

int EffectiveCode(const StartEnd& end) {
  if (end.launcher_code == 0 || !end.verdict_code || *end.verdict_code == 0) return end.launcher_code;
  return *end.verdict_code;
}

Decision RestartPolicy::After(const StartEnd& end) {
  const int code = EffectiveCode(end);
  if (code == kDone) return Finish(kDone);
  if (end.interrupted) return Finish(kInterrupted, "interrupted twice: ended without saving");
  if (end.out_of_memory) return Finish(kUsageCode);
  if (IsFinal(code)) return Finish(code);
  // Asked to stop, and failed while doing so: what the newest checkpoint lacks is done again at the next start.
  if (end.stop_asked)
    return Finish(kPreempted,
                  code == kPreempted ? "" : "it did not save in time: it goes on from its newest checkpoint");
  if (code == kPreempted && options_.stop_is_callers) return Finish(kPreempted);

  without_progress_ = end.progress > best_ ? 0 : without_progress_ + 1;
  best_ = std::max(best_, end.progress);
  if (without_progress_ >= options_.tries_without_progress)
    return Finish(kPeerCode, fmt::format("{} starts in a row came no further than step {}", without_progress_, best_));
  if (options_.max_restarts >= 0 && restarts_ >= options_.max_restarts)
    return Finish(code == 1 ? 1 : kPeerCode, fmt::format("{} restarts were allowed", options_.max_restarts));
  ++restarts_;
  const int delay = without_progress_ == 0 ? 0 : std::min(kLongestDelay, 1 << std::min(without_progress_ - 1, 6));
  return {Decision::kRestart, 0, delay, ""};
}

}  // namespace lockstep::launch
