// How a rank's clock stands to rank 0's. Hosts' steady clocks count from different beginnings; what is sent to and fro
// tells the difference (Cristian 1989, "Probabilistic clock synchronization"): rank 0 reads its clock between the
// moments at which a rank asked and had the answer, so that the middle of these is off by half of what lies between
// them at most, however uneven the two ways were.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "comm/communicator.h"
#include "trainer/records/profile_record.h"

namespace lockstep::run {

/// A question to rank 0 and its answer: when this clock saw each, and what rank 0's showed in between.
struct ClockExchange {
  int64_t asked_ns = 0, answered_ns = 0, heard_ns = 0;
};

/// By the exchange that took least. REQUIRES: there is one.
records::ClockReading EstimateOffset(std::span<const ClockExchange> exchanges);

/// Collective. `now` reads this rank's clock. Rank 0's own reading is exact.
records::ClockReading ReadClock(comm::Communicator& comm, const std::function<int64_t()>& now);

}  // namespace lockstep::run
