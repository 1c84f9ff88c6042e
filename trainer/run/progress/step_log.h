// What steps took, and where the time of every rank went: rank 0 adds up what the control records say.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/topology.h"
#include "trainer/records/times_record.h"
#include "trainer/step/control_record.h"

namespace lockstep::run {

class StepLog {
 public:
  /// Of attempt `attempt`, which goes on at `first_step` and takes at most `steps` steps: the first ten of them, or a
  /// quarter of fewer than forty, are left out.
  StepLog(const comm::Topology& topology, uint32_t attempt, uint64_t first_step, uint64_t steps);

  /// A step of `samples` samples that took `seconds`.
  void Add(double seconds, uint64_t samples, const std::vector<step::RankRecord>& ranks);
  uint64_t steps() const { return times_.steps; }
  records::TimesRecord Times() const;

 private:
  uint64_t left_out_;
  records::TimesRecord times_;           ///< but for the ranks' phases:
  std::vector<step::StepTimes> phases_;  ///< by rank
};

}  // namespace lockstep::run
