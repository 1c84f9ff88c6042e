#include "launch/supervise/restart_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::launch {
namespace {

constexpr int kLongestDelay = 60;

Decision Finish(int code, std::string reason = "") { return {Decision::kFinish, code, 0, std::move(reason)}; }

}  // namespace

int EffectiveCode(const StartOutcome& outcome) {
  const auto kind = EffectiveKind(outcome);
  return kind ? ExitCodeOf(*kind) : outcome.launcher_code;
}

std::optional<ErrorKind> EffectiveKind(const StartOutcome& outcome) {
  if (outcome.launcher_code == 0) return std::nullopt;
  if (outcome.verdict && outcome.verdict->kind) return outcome.verdict->kind;
  return ErrorKindOfExitCode(outcome.launcher_code);
}

Decision RestartPolicy::After(const StartOutcome& outcome) {
  const int code = EffectiveCode(outcome);
  const std::optional<ErrorKind> kind = EffectiveKind(outcome);
  if (code == kDone) return Finish(kDone);
  if (outcome.interrupted) return Finish(kInterrupted, "interrupted twice: ended without saving");
  if (outcome.out_of_memory) return Finish(kMemoryCode);
  if (kind && !InfoOf(*kind).may_pass) return Finish(code);
  // Asked to stop, and failed while doing so: what the newest checkpoint lacks is done again at the next start.
  if (outcome.stop_asked)
    return Finish(kPreempted,
                  code == kPreempted ? "" : "it did not save in time: it goes on from its newest checkpoint");
  if (code == kPreempted && options_.stop_is_callers) return Finish(kPreempted);

  without_progress_ = outcome.progress > best_ ? 0 : without_progress_ + 1;
  best_ = std::max(best_, outcome.progress);
  if (without_progress_ >= options_.tries_without_progress)
    return Finish(kPeerCode, fmt::format("{} starts in a row came no further than step {}", without_progress_, best_));
  if (options_.max_restarts >= 0 && restarts_ >= options_.max_restarts)
    return Finish(kind == ErrorKind::kInternal ? code : kPeerCode,
                  fmt::format("{} restarts were allowed", options_.max_restarts));
  ++restarts_;
  const int delay = without_progress_ == 0 ? 0 : std::min(kLongestDelay, 1 << std::min(without_progress_ - 1, 6));
  return {Decision::kRestart, 0, delay, ""};
}

}  // namespace lockstep::launch
