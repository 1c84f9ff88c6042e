// Who sends what to whom in an exchange (exchange.h): a pure value that all ranks work out alike from the lane plan,
// the buckets and the topology. It holds no addresses and knows no communicator, so that the exchange of thousands of
// ranks can be looked at by one process.
//
// Words. A *piece* is the partial sum over the lanes of one lane-tree node, held by an executor in an arena of its own.
// A *slice* is the part of a bucket that a rank owns. A *host* is a machine; a *node* is one of the lane tree.
//
// Sums. An owner reads the pieces of its own host where they lie. From every other host it gets one message for each
// maximal node of that host's lanes (host_nodes), from the host's relay for this owner, which has folded its host's
// pieces. Weights. The owner sends its new slice to the same relays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/arena.h"
#include "base/lane_tree.h"
#include "base/shape.h"
#include "comm/slice_map.h"
#include "comm/topology.h"

namespace lockstep::comm {

/// The lanes of each executor of each rank: plan[rank][executor]. Runs tile [0, lanes) in order.
using LanePlan = std::vector<std::vector<LaneRange>>;

struct ExchangeOptions {
  int lanes = 1;
  LanePlan plan;
  std::vector<ElementRange> buckets;  ///< of the arenas of pieces and weights
  /// Of partial sums, held and sent: kF32, or kBF16, where every node of the lane tree, leaves included, is rounded
  /// once. Weights are floats.
  DType wire = DType::kF32;
};

/// The sum over the lanes of `node`, held by an executor of a rank.
struct Piece {
  int rank = 0;
  int executor = 0;  ///< of that rank
  LaneRange node;
};

/// A sum over lanes of one host, as owners elsewhere get it: one of its pieces, or several folded.
struct HostSum {
  LaneRange node;
  std::vector<size_t> pieces;      ///< of pieces(host)
  std::vector<LaneSumStep> order;  ///< over `pieces`
};

/// What one rank does for one bucket. Offsets count elements in memory of this bucket's alone, and begin at multiples
/// of kValueAlignment.
struct BucketPlan {
  /// A sum over lanes of another host, for the own slice; as long as the slice.
  struct Incoming {
    int from = 0, tag = 0;
    int64_t offset = 0;  ///< in the memory of what is received
  };
  /// Sum `sum` of host_sums(own host), cut to `range`, the slice of an owner elsewhere.
  struct Outgoing {
    int to = 0, tag = 0;
    ElementRange range;
    size_t sum = 0;
    int64_t offset = 0;  ///< in the memory of what is folded, where the sum has more than one piece
  };
  /// A slice of an owner elsewhere whose new weights this rank takes for its host.
  struct Relayed {
    int owner = 0;
    ElementRange range;
  };

  ElementRange slice;              ///< what this rank owns; may be empty
  std::vector<Incoming> incoming;  ///< by host, then as host_nodes(host)
  std::vector<Outgoing> outgoing;
  std::vector<int> relays;  ///< who takes the new weights of the own slice: a rank on each other host
  std::vector<Relayed> relayed;
  int weights_tag = 0;            ///< of the messages to relays, and of those for `relayed`
  int64_t received_elements = 0;  ///< memory of what is received
  int64_t folded_elements = 0;    ///< memory of what is folded
};

class ExchangePlan {
 public:
  /// Throws Error(kInternal) where the plan doesn't tile the lanes. Of `topology`, the own rank plays no part.
  ExchangePlan(ExchangeOptions options, Topology topology);

  const SliceMap& slices() const { return slices_; }
  int lanes() const { return lanes_; }
  /// Of partial sums.
  DType wire() const { return wire_; }
  /// Of the arenas.
  int64_t elements() const { return elements_; }

  /// The pieces of a host, in lane order.
  std::span<const Piece> pieces(int host) const { return hosts_[static_cast<size_t>(host)].pieces; }
  /// The maximal lane-tree nodes of all lanes of a host: what it sends to owners elsewhere.
  std::span<const LaneRange> host_nodes(int host) const { return hosts_[static_cast<size_t>(host)].nodes; }
  /// The executors of a host's ranks. Those of a rank have the numbers [first_executor(rank), first_executor(rank) +
  /// executors_of(rank)).
  int executors_on(int host) const { return hosts_[static_cast<size_t>(host)].executors; }
  int executors_of(int rank) const { return executors_of_[static_cast<size_t>(rank)]; }
  int first_executor(int rank) const { return first_executor_[static_cast<size_t>(rank)]; }
  /// The rank that on `host` handles the slices of `owner`, a rank of another host.
  int Relay(int host, int owner) const;

  /// By host_nodes(host).
  std::vector<HostSum> HostSums(int host) const;
  /// The order in which an owner on `host` adds: addends are pieces(host), then BucketPlan::incoming.
  std::vector<LaneSumStep> SumOrder(int host) const;
  /// Cheap, and made anew by each call. In one step a rank sends to another at most one message of each tag.
  BucketPlan PlanBucket(int rank, int bucket) const;

 private:
  struct Host {
    std::vector<Piece> pieces;
    std::vector<LaneRange> nodes;
    std::vector<bool> folded;  ///< by node: whether it is more than one piece
    int executors = 0;
  };

  void AddHost(const LanePlan& plan, const std::vector<int>& ranks);
  void PlanOwned(int rank, int bucket, BucketPlan& plan) const;
  void PlanRelayed(int rank, int bucket, BucketPlan& plan) const;
  int SumTag(int bucket, size_t node) const { return bucket * tags_per_bucket_ + static_cast<int>(node); }

  int lanes_;
  DType wire_;
  int64_t elements_;
  Topology topology_;
  SliceMap slices_;
  std::vector<Host> hosts_;
  std::vector<int> executors_of_, first_executor_;  ///< by rank
  int tags_per_bucket_ = 1;
};

}  // namespace lockstep::comm
