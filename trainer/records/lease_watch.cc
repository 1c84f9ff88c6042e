#include "trainer/records/lease_watch.h"

#include <algorithm>

namespace lockstep::records {

bool LeaseWatch::IsPredecessor(const LeaseHolder& holder) const {
  const LeaseHolder& self = options_.self;
  return !self.slurm_job.empty() && holder.slurm_job == self.slurm_job && holder.slurm_restart < self.slurm_restart;
}

LeaseState LeaseWatch::Look(const std::optional<LeaseRecord>& record, Time now) {
  if (!first_look_) first_look_ = changed_ = now;
  // What can't be read has not changed: it lapses like the rest.
  if (record) {
    const bool same_holder = last_ && last_->holder.id == record->holder.id;
    if (last_ && !(same_holder && last_->sequence == record->sequence)) {
      changed_ = now;
      advances_ = same_holder ? advances_ + 1 : 1;
    }
    last_ = record;
  }
  // A holder with a longer period than ours needs longer.
  constexpr double kMissedRenewals = 3;
  const auto period = std::chrono::duration<double>(last_ ? last_->period_seconds : 0);
  const auto lapse = std::max<std::chrono::duration<double>>(options_.lapse, kMissedRenewals * period);
  if (now - *changed_ >= lapse) return LeaseState::kLapsed;
  // One renewal may be the last of a process that is about to end: its launcher is gone, its queue has ended it.
  if (advances_ < 2) return LeaseState::kWait;
  if (IsPredecessor(last_->holder) && now - *first_look_ < options_.predecessor) return LeaseState::kWait;
  return LeaseState::kHeld;
}

}  // namespace lockstep::records
