#include "comm/exchange_layout.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::comm {
namespace {

void CheckPlan(const LanePlan& plan, int lanes, int world_size) {
  CHECK(plan.size() == static_cast<size_t>(world_size), "a plan for {} of {} ranks", plan.size(), world_size);
  int next = 0;
  for (const auto& rank : plan) {
    for (LaneRange run : rank) {
      CHECK(run.begin == next && run.end >= run.begin, "lanes [{}, {}) after {}", run.begin, run.end, next);
      next = run.end;
    }
  }
  CHECK(next == lanes, "the plan ends at lane {} of {}", next, lanes);
}

// All lanes of a node's ranks, which are neighbours.
LaneRange NodeLanes(const LanePlan& plan, const std::vector<int>& ranks) {
  LaneRange lanes;
  bool first = true;
  for (int rank : ranks) {
    for (LaneRange run : plan[static_cast<size_t>(rank)]) {
      if (first) lanes.begin = run.begin;
      first = false;
      lanes.end = run.end;
    }
  }
  return lanes;
}

}  // namespace

ExchangeLayout::ExchangeLayout(const Exchange::Options& options, const Topology& topology) : topology_(topology) {
  CheckPlan(options.plan, options.lanes, topology.world_size);
  size_t most = 0;
  for (const std::vector<int>& ranks : topology.hosts) {
    node_pieces_.push_back(MaximalNodes(options.lanes, NodeLanes(options.plan, ranks)));
    most = std::max(most, node_pieces_.back().size());
  }
  tags_per_bucket_ = static_cast<int>(most) + 1;
  CHECK(static_cast<int64_t>(options.buckets.size()) * tags_per_bucket_ < (1 << 20), "{} buckets of {} tags",
        options.buckets.size(), tags_per_bucket_);

  first_executor_.push_back(0);
  for (int local_rank = 0; local_rank < topology.local_size(); ++local_rank) {
    const int rank = topology.hosts[static_cast<size_t>(topology.host())][static_cast<size_t>(local_rank)];
    const auto& runs = options.plan[static_cast<size_t>(rank)];
    first_executor_.push_back(first_executor_.back() + static_cast<int>(runs.size()));
    for (size_t executor = 0; executor < runs.size(); ++executor) {
      for (LaneRange node : MaximalNodes(options.lanes, runs[executor])) {
        local_pieces_.push_back({local_rank, static_cast<int>(executor), node});
      }
    }
  }
}

int ExchangeLayout::Relay(int node, int owner) const {
  const std::vector<int>& ranks = topology_.hosts[static_cast<size_t>(node)];
  return ranks[static_cast<size_t>(owner) % ranks.size()];
}

}  // namespace lockstep::comm
