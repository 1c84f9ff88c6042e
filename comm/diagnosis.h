// Who holds everybody up: from what each rank was last seen doing to one line. Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/flight.pb.h"
#include "comm/topology.h"

namespace lockstep::comm {

/// What is known of one rank.
struct Sighting {
  std::optional<Heartbeat> heartbeat;  ///< its last; none: it was never seen
  double age_seconds = 0;              ///< of the heartbeat, by the observer's clock

  /// Since the rank last got on, as far as is known.
  double stale_seconds() const;
  /// It has work of its own that comes before the end of its first step.
  bool warms_up() const;
};

struct Diagnosis {
  /// "rank 3 on h2 has not entered exchange 4711 of step 310 (last seen: loading batch, 61 s ago); ranks 0-2 wait
  /// there"
  std::string message;
  /// The ranks that it blames, ascending; empty where it blames none (the network).
  std::vector<int> culprits;
};

/// Explains why nothing moves. `ranks` by rank, of all the topology's. A rank is silent, which means stopped, dead or
/// cut off, when its last heartbeat is older than `silent_seconds`.
///
/// The first of these that fits: ranks that called different collectives under one number; ranks that are silent or
/// that are in no collective while others are; ranks that are still in an older collective than the others; the
/// network.
Diagnosis Diagnose(std::span<const Sighting> ranks, const Topology& topology, double silent_seconds);

/// "0.4 s", "61 s".
std::string SecondsText(double seconds);
/// "0-2, 5"; `ranks` ascends.
std::string RankRanges(std::span<const int> ranks);
/// "rank 3 on h2", "ranks 0-1 on h1 and 4 on h3".
std::string RanksOnHosts(std::span<const int> ranks, const Topology& topology);

/// A rank's own share of some steps, without waiting for others.
struct OwnSeconds {
  double loading = 0;
  double computing = 0;
  double total() const { return loading + computing; }
};

/// The slowest rank, where its total is more than `factor` times the median rank's and at least 0.1 s longer: "rank 3
/// on h2 is a straggler: 2.4 s a step where the median rank takes 0.8 s; it loses them loading batches". Empty where
/// none is.
std::string DescribeStraggler(std::span<const OwnSeconds> per_step, const Topology& topology, double factor);

}  // namespace lockstep::comm
