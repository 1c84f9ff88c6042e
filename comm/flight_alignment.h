// The flight records of a job side by side: equal numbers are the same collective on every rank.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "comm/flight.pb.h"

namespace lockstep::comm {

/// One collective, as the records' ranks went through it.
struct AlignedCollective {
  enum class Part {
    kForgotten,  ///< older than what the rank's record holds
    kMissing,    ///< the rank never began it
    kBegun,      ///< it began it, but never gave its part
    kEntered,
  };
  struct Rank {
    Part part = Part::kMissing;
    double entered = 0;    ///< of kEntered: seconds after the first rank, by the hosts' own clocks
    double seconds = 0;    ///< of kEntered: until the rank left it; < 0: it never did
    bool differs = false;  ///< called with another kind or size than the lowest rank called it
    CollectiveKind::Value kind = CollectiveKind::NONE;
    uint64_t bytes = 0;
  };
  uint64_t number = 0;
  CollectiveKind::Value kind = CollectiveKind::NONE;  ///< the lowest rank's, like the next two
  uint64_t bytes = 0;
  std::optional<int64_t> step;
  std::vector<Rank> ranks;  ///< in the order of the records
};

/// The last `last` collectives that any of the records knows, ascending. Whatever the records hold.
std::vector<AlignedCollective> AlignCollectives(std::span<const FlightRecord> records, size_t last);

}  // namespace lockstep::comm
