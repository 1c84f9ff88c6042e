#include "comm/exchange_plan.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "comm/transport.h"

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

// All lanes of a host's ranks, which are neighbours.
LaneRange HostLanes(const LanePlan& plan, const std::vector<int>& ranks) {
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

bool Within(LaneRange inner, LaneRange outer) { return outer.begin <= inner.begin && inner.end <= outer.end; }

int64_t Padded(ElementRange range) {
  return static_cast<int64_t>(AlignUp(static_cast<size_t>(range.size()), kValueAlignment / sizeof(float)));
}

}  // namespace

ExchangePlan::ExchangePlan(ExchangeOptions options, Topology topology)
    : lanes_(options.lanes),
      wire_(options.wire),
      elements_(options.buckets.empty() ? 0 : options.buckets.back().end),
      topology_(std::move(topology)),
      slices_(std::move(options.buckets), topology_.world_size),
      executors_of_(static_cast<size_t>(topology_.world_size)),
      first_executor_(executors_of_.size()) {
  CHECK(wire_ == DType::kF32 || wire_ == DType::kBF16, "sums of {}", Name(wire_));
  CheckPlan(options.plan, lanes_, topology_.world_size);
  size_t most = 0;
  for (const std::vector<int>& ranks : topology_.hosts) {
    AddHost(options.plan, ranks);
    most = std::max(most, hosts_.back().nodes.size());
  }
  tags_per_bucket_ = static_cast<int>(most) + 1;
  CHECK(int64_t{slices_.buckets()} * tags_per_bucket_ <= kTags, "{} buckets of {} tags", slices_.buckets(),
        tags_per_bucket_);
}

void ExchangePlan::AddHost(const LanePlan& plan, const std::vector<int>& ranks) {
  Host& host = hosts_.emplace_back();
  host.nodes = MaximalNodes(lanes_, HostLanes(plan, ranks));
  for (int rank : ranks) {
    first_executor_[static_cast<size_t>(rank)] = host.executors;
    const std::vector<LaneRange>& runs = plan[static_cast<size_t>(rank)];
    executors_of_[static_cast<size_t>(rank)] = static_cast<int>(runs.size());
    host.executors += static_cast<int>(runs.size());
    for (size_t executor = 0; executor < runs.size(); ++executor) {
      for (LaneRange node : MaximalNodes(lanes_, runs[executor]))
        host.pieces.push_back({rank, static_cast<int>(executor), node});
    }
  }
  for (LaneRange node : host.nodes) {
    const auto parts = std::count_if(host.pieces.begin(), host.pieces.end(),
                                     [&](const Piece& piece) { return Within(piece.node, node); });
    host.folded.push_back(parts > 1);
  }
}

int ExchangePlan::Relay(int host, int owner) const {
  const std::vector<int>& ranks = topology_.hosts[static_cast<size_t>(host)];
  return ranks[static_cast<size_t>(owner) % ranks.size()];
}

std::vector<HostSum> ExchangePlan::HostSums(int host) const {
  std::vector<HostSum> sums;
  for (LaneRange node : host_nodes(host)) {
    HostSum& sum = sums.emplace_back();
    sum.node = node;
    std::vector<LaneRange> nodes;
    for (size_t i = 0; i < pieces(host).size(); ++i) {
      if (!Within(pieces(host)[i].node, node)) continue;
      sum.pieces.push_back(i);
      nodes.push_back(pieces(host)[i].node);
    }
    sum.order = LaneSumOrder(lanes_, node, nodes);
  }
  return sums;
}

std::vector<LaneSumStep> ExchangePlan::SumOrder(int host) const {
  std::vector<LaneRange> nodes;
  for (const Piece& piece : pieces(host)) nodes.push_back(piece.node);
  for (int other = 0; other < static_cast<int>(hosts_.size()); ++other) {
    if (other != host) nodes.insert(nodes.end(), host_nodes(other).begin(), host_nodes(other).end());
  }
  return LaneSumOrder(lanes_, {0, lanes_}, nodes);
}

BucketPlan ExchangePlan::PlanBucket(int rank, int bucket) const {
  BucketPlan plan;
  plan.slice = slices_.slice(bucket, rank);
  plan.weights_tag = SumTag(bucket, 0) + tags_per_bucket_ - 1;
  if (plan.slice.size() > 0) PlanOwned(rank, bucket, plan);
  PlanRelayed(rank, bucket, plan);
  return plan;
}

void ExchangePlan::PlanOwned(int rank, int bucket, BucketPlan& plan) const {
  for (int host = 0; host < static_cast<int>(hosts_.size()); ++host) {
    if (host == topology_.host_of[static_cast<size_t>(rank)]) continue;
    const int relay = Relay(host, rank);
    plan.relays.push_back(relay);
    for (size_t node = 0; node < host_nodes(host).size(); ++node) {
      plan.incoming.push_back({relay, SumTag(bucket, node), plan.received_elements});
      plan.received_elements += Padded(plan.slice);
    }
  }
}

void ExchangePlan::PlanRelayed(int rank, int bucket, BucketPlan& plan) const {
  const int own_host = topology_.host_of[static_cast<size_t>(rank)];
  const Host& host = hosts_[static_cast<size_t>(own_host)];
  // Relay(own_host, owner) is this rank for every local_size-th owner.
  const auto local_size = static_cast<int>(topology_.hosts[static_cast<size_t>(own_host)].size());
  for (int owner = topology_.LocalRank(rank); owner < topology_.world_size; owner += local_size) {
    const ElementRange range = slices_.slice(bucket, owner);
    if (range.size() == 0 || topology_.host_of[static_cast<size_t>(owner)] == own_host) continue;
    plan.relayed.push_back({owner, range});
    for (size_t node = 0; node < host.nodes.size(); ++node) {
      plan.outgoing.push_back({owner, SumTag(bucket, node), range, node, plan.folded_elements});
      if (host.folded[node]) plan.folded_elements += Padded(range);
    }
  }
}

}  // namespace lockstep::comm
