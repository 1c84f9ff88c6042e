// The profile of a run as its ranks have written it into the run's folder, on one clock: rank 0's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "trainer/records/profile_record.h"

namespace lockstep::launch {

/// The nanoseconds that rank 0's clock showed when this rank's showed `local_ns`: the offset is taken to go evenly from
/// the one reading to the other, and to be theirs beyond them.
int64_t OnClockOfRankZero(const records::ClockReading& before, const records::ClockReading& after, int64_t local_ns);

struct ProfiledRun {
  /// By rank. Events' times count from the first event of all, on rank 0's clock; those of a thread are sorted so that
  /// one that lies within another comes behind it.
  std::vector<records::RankProfile> ranks;

  /// How far a rank's times may be off against rank 0's, where clocks drift evenly between the readings.
  static int64_t ClockErrorOf(const records::RankProfile& rank);
  uint64_t steps() const { return ranks.front().steps; }
};

/// Puts the ranks on one clock. REQUIRES: one entry a rank, in order.
ProfiledRun Align(std::vector<records::RankProfile> ranks);

/// Of the run in `folder`. Throws Error(kUsage) where nothing was profiled there, a rank's part is missing, or parts
/// are of different attempts.
ProfiledRun ReadProfiledRun(FileSystem& files, const std::string& folder);

}  // namespace lockstep::launch
