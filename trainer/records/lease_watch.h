// Whether another's lease of a run folder is still alive (lease.h says by what rules).
#pragma once

#include <chrono>
#include <optional>

#include "trainer/records/lease_record.h"

namespace lockstep::records {

struct LeaseOptions {
  std::chrono::milliseconds period{2000};        ///< between renewals
  std::chrono::milliseconds lapse{10000};        ///< without renewal until a lease is nobody's
  std::chrono::milliseconds predecessor{40000};  ///< that a requeued job waits for itself; Slurm's KillWait is 30 s
  std::chrono::milliseconds look{100};           ///< between looks at another's lease
  LeaseHolder self = LeaseHolder::Self();
};

enum class LeaseState {
  kWait,    ///< not known yet
  kLapsed,  ///< nobody's: take it over
  kHeld,    ///< its holder lives
};

/// What someone who wants a folder makes of its lease, look by look. A pure function of what it is told.
class LeaseWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit LeaseWatch(const LeaseOptions& options) : options_(options) {}
  /// `record`: what the file says at `now`; none where it can't be read.
  LeaseState Look(const std::optional<LeaseRecord>& record, Time now);

 private:
  bool IsPredecessor(const LeaseHolder& holder) const;

  const LeaseOptions& options_;
  std::optional<Time> first_look_, changed_;
  std::optional<LeaseRecord> last_;
  int advances_ = 0;
};

}  // namespace lockstep::records
