// What messages between hosts add to a step that is planned: the exchange's own plan, simulated (simulate_exchange.h)
// on the described network and on one that takes no time.
#pragma once

#include <vector>

#include "comm/exchange.h"
#include "launch/project/network.h"

namespace lockstep::launch {

struct PlannedExchange {
  comm::ExchangeOptions exchange = {};
  std::vector<double> ready = {};  ///< by bucket, as StepLoad::ready
  double lane_seconds = 0;         ///< of one lane, forward and backward
  double backward_seconds = 0;     ///< of that
  bool share_at_once = true;
  double update_seconds = 0;  ///< of an element
  int state_arrays = 0;
};

/// Seconds. REQUIRES: network.memory_gb_s > 0; ranks in hosts of network.ranks_per_host.
double SecondsBetweenHosts(const PlannedExchange& planned, const Network& network);

}  // namespace lockstep::launch
