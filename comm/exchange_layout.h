// What the exchange's ranks work out alike from the lane plan, the buckets and the topology: which lane-tree nodes lie
// where, who relays what, and which tags messages carry. Pure functions; nothing here communicates.
#pragma once

#include <cstdint>
#include <vector>

#include "base/lane_tree.h"
#include "comm/communicator.h"
#include "comm/exchange.h"

namespace lockstep::comm {

/// One gradient arena: the sum over the lanes of `node`, held by an executor of a local rank.
struct LocalPiece {
  int local_rank;
  int executor;  ///< of that rank
  LaneRange node;
};

class ExchangeLayout {
 public:
  /// Throws Error(kInternal) where the plan doesn't tile the lanes.
  ExchangeLayout(const Exchange::Options& options, const Topology& topology);

  /// The pieces of this node, in lane order.
  const std::vector<LocalPiece>& local_pieces() const { return local_pieces_; }
  /// The maximal lane-tree nodes of all lanes of node `node`: what it sends to owners elsewhere.
  const std::vector<LaneRange>& node_pieces(int node) const { return node_pieces_[static_cast<size_t>(node)]; }
  /// The rank that on node `node` handles the slices of `owner`, a rank of another node.
  int Relay(int node, int owner) const;

  /// Executors of the ranks of this node; those of a local rank have the numbers [FirstExecutor(rank),
  /// FirstExecutor(rank + 1)).
  int local_executors() const { return first_executor_.back(); }
  int FirstExecutor(int local_rank) const { return first_executor_[static_cast<size_t>(local_rank)]; }

  // Tags. A rank sends to another at most one message of each tag per step.
  int SumTag(int bucket, size_t piece) const { return bucket * tags_per_bucket_ + static_cast<int>(piece); }
  int WeightsTag(int bucket) const { return SumTag(bucket, 0) + tags_per_bucket_ - 1; }

 private:
  const Topology& topology_;
  std::vector<LocalPiece> local_pieces_;
  std::vector<std::vector<LaneRange>> node_pieces_;
  std::vector<int> first_executor_;
  int tags_per_bucket_ = 1;
};

}  // namespace lockstep::comm
