// What the messages of a simulated exchange carry, so that it is seen to add right: of every slice its first and its
// last element, of gradients that are made up anew for each lane and element. Sums are made by comm's own SliceSum in
// the order of comm's own plan, and compared, bit by bit, with the sum by the lane tree's definition.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/shape.h"
#include "comm/exchange_plan.h"
#include "comm/topology.h"

namespace lockstep::launch {

/// The first and the last element of a slice.
using SliceSample = std::array<float, 2>;

/// A made-up gradient: of either sign and of many magnitudes, so that sums in another order have other bits.
float MadeUpGradient(int lane, int64_t element);
/// The sum over the lanes of a tree's node, by the definition of the tree (base/lane_tree.h), in sums of type `wire`.
float TreeSum(LaneRange node, int64_t element, DType wire);

struct ValueCheck {
  int64_t sums = 0, wrong_sums = 0;  ///< of elements, by owners
  int64_t weights = 0;               ///< new weights of slices that hosts have got, owners' own included
  int64_t wrong_weights = 0;         ///< that are not the owner's
  int64_t missing_weights = 0;       ///< slices whose weights a host has not got

  bool good() const { return sums > 0 && wrong_sums == 0 && wrong_weights == 0 && missing_weights == 0; }
};

class ExchangeValues {
 public:
  /// Both outlive this.
  ExchangeValues(const comm::ExchangePlan& plan, const comm::Topology& topology);

  /// What a relay folds and sends.
  SliceSample SumOf(int rank, const comm::BucketPlan::Outgoing& out);
  /// Keeps what message (`from`, `tag`) has brought to an owner.
  void SumReceived(int owner, int bucket, int from, int tag, SliceSample sum);
  /// Adds up what the owner's host holds and what has been received, compares, and makes new weights.
  void Reduce(int owner, int bucket, const comm::BucketPlan& plan);
  SliceSample WeightsOf(int owner, int bucket) const { return weights_.at({owner, bucket}); }
  void WeightsReceived(int owner, int bucket, int host, SliceSample weights);
  /// Compares what every host has got with what owners have made.
  ValueCheck Check() const;

 private:
  using Key = std::pair<int, int>;

  SliceSample NodeSample(LaneRange node, ElementRange range) const;

  const comm::ExchangePlan& plan_;
  const comm::Topology& topology_;
  std::vector<std::vector<comm::HostSum>> host_sums_;                ///< by host
  std::vector<std::vector<LaneSumStep>> orders_;                     ///< by host
  std::map<Key, std::map<Key, SliceSample>> received_;               ///< by owner and bucket, then by sender and tag
  std::map<Key, SliceSample> weights_;                               ///< by owner and bucket
  std::map<Key, std::vector<std::pair<int, SliceSample>>> arrived_;  ///< by owner and bucket: hosts, and what they got
  int64_t sums_ = 0, wrong_sums_ = 0;
};

}  // namespace lockstep::launch
