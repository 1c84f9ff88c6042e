#include "launch/supervise/supervised_folder.h"

namespace lockstep::launch {

SupervisedFolder::SupervisedFolder(const std::string& folder, bool fresh)
    : files_(folder), first_attempt_(files_.FirstAttempt()), holds_old_run_(fresh && !first_attempt_.empty()) {}

bool SupervisedFolder::Look() {
  const std::string attempt = files_.FirstAttempt();
  if (attempt.empty()) return false;
  if (attempt != first_attempt_) holds_old_run_ = false;
  return !holds_old_run_;
}

uint64_t SupervisedFolder::NextStep() const {
  if (holds_old_run_) return 0;
  const auto newest = files_.FindNewestCheckpoint();
  return newest ? newest->step : 0;
}

}  // namespace lockstep::launch
