#include "launch/project/between_hosts.h"

#include <algorithm>

#include "launch/project/simulate_exchange.h"

namespace lockstep::launch {

double SecondsBetweenHosts(const PlannedExchange& planned, const Network& network) {
  const comm::LanePlan& lanes = planned.exchange.plan;
  const comm::Topology topology = TopologyOf(static_cast<int>(lanes.size()), network);
  if (topology.hosts.size() == 1) return 0;
  StepLoad load{.ready = planned.ready,
                .share_at_once = planned.share_at_once,
                .update_seconds = planned.update_seconds,
                .update_floats = 2 + 2 * planned.state_arrays};
  for (const auto& executors : lanes) {
    int most = 0;
    for (const LaneRange& run : executors) most = std::max(most, run.size());
    load.lanes.push_back(most * planned.lane_seconds);
    load.backward.push_back(planned.backward_seconds);
  }
  const comm::ExchangePlan plan(planned.exchange, topology);
  Network free = network;
  free.gbit = 1e9;
  free.uplink_gbit = free.latency_us = free.message_us = 0;
  const double with = ExchangeSimulator(plan, topology, network).Run(load, nullptr).seconds;
  return std::max(0.0, with - ExchangeSimulator(plan, topology, free).Run(load, nullptr).seconds);
}

}  // namespace lockstep::launch
