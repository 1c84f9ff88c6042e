#include "launch/project/exchange_values.h"

#include <bit>
#include <set>

#include "base/bfloat16.h"
#include "base/error.h"
#include "base/philox.h"
#include "comm/slice_sum.h"

namespace lockstep::launch {
namespace {

constexpr float kRate = 0x1p-10f;

std::array<int64_t, 2> SampledElements(ElementRange range) { return {range.begin, range.end - 1}; }

bool SameBits(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }
bool SameBits(const SliceSample& a, const SliceSample& b) { return SameBits(a[0], b[0]) && SameBits(a[1], b[1]); }

/// As a message of T holds it.
template <typename T>
std::array<T, 2> Held(const SliceSample& sample) {
  return {FromFloat<T>(sample[0]), FromFloat<T>(sample[1])};
}

template <typename T>
SliceSample SumOf(const std::vector<SliceSample>& addends, const std::vector<LaneSumStep>& order, DType wire) {
  std::vector<std::array<T, 2>> held;
  for (const SliceSample& addend : addends) held.push_back(Held<T>(addend));
  std::vector<const std::byte*> pieces;
  for (const std::array<T, 2>& piece : held) pieces.push_back(reinterpret_cast<const std::byte*>(piece.data()));
  SliceSample sum;
  comm::SliceSum(std::move(pieces), order, wire).Evaluate(0, sum);
  return sum;
}

SliceSample Sum(const std::vector<SliceSample>& addends, const std::vector<LaneSumStep>& order, DType wire) {
  return wire == DType::kF32 ? SumOf<float>(addends, order, wire) : SumOf<BFloat16>(addends, order, wire);
}

float InWire(float value, DType wire) { return wire == DType::kF32 ? value : BFloat16::From(value).Float(); }

}  // namespace

float MadeUpGradient(int lane, int64_t element) {
  const uint64_t bits = Mix64(static_cast<uint64_t>(element) * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(lane) + 1);
  // 24 bits of a value in [-1, 1), times one of 16 powers of two.
  const auto value = static_cast<float>(static_cast<int32_t>(bits >> 40) - (1 << 23)) * 0x1p-23f;
  return value * static_cast<float>(1u << (bits & 15));
}

float TreeSum(LaneRange node, int64_t element, DType wire) {
  if (node.size() == 1) return InWire(MadeUpGradient(node.begin, element), wire);
  const int split = LaneTreeSplit(node);
  return InWire(TreeSum({node.begin, split}, element, wire) + TreeSum({split, node.end}, element, wire), wire);
}

ExchangeValues::ExchangeValues(const comm::ExchangePlan& plan, const comm::Topology& topology)
    : plan_(plan), topology_(topology) {
  for (size_t host = 0; host < topology.hosts.size(); ++host) {
    host_sums_.push_back(plan.HostSums(static_cast<int>(host)));
    orders_.push_back(plan.SumOrder(static_cast<int>(host)));
  }
}

SliceSample ExchangeValues::NodeSample(LaneRange node, ElementRange range) const {
  const auto [first, last] = SampledElements(range);
  return {TreeSum(node, first, plan_.wire()), TreeSum(node, last, plan_.wire())};
}

SliceSample ExchangeValues::SumOf(int rank, const comm::BucketPlan::Outgoing& out) {
  const int host = topology_.host_of[static_cast<size_t>(rank)];
  const comm::HostSum& sum = host_sums_[static_cast<size_t>(host)][out.sum];
  std::vector<SliceSample> pieces;
  for (const size_t piece : sum.pieces) pieces.push_back(NodeSample(plan_.pieces(host)[piece].node, out.range));
  return Sum(pieces, sum.order, plan_.wire());
}

void ExchangeValues::SumReceived(int owner, int bucket, int from, int tag, SliceSample sum) {
  const bool first = received_[{owner, bucket}].emplace(Key{from, tag}, sum).second;
  CHECK(first, "rank {} sent rank {} two messages of tag {}", from, owner, tag);
}

void ExchangeValues::Reduce(int owner, int bucket, const comm::BucketPlan& plan) {
  const int host = topology_.host_of[static_cast<size_t>(owner)];
  std::vector<SliceSample> addends;
  for (const comm::Piece& piece : plan_.pieces(host)) addends.push_back(NodeSample(piece.node, plan.slice));
  const std::map<Key, SliceSample>& received = received_[{owner, bucket}];
  for (const comm::BucketPlan::Incoming& in : plan.incoming) addends.push_back(received.at({in.from, in.tag}));
  const SliceSample sum = Sum(addends, orders_[static_cast<size_t>(host)], plan_.wire());
  received_.erase({owner, bucket});
  const auto elements = SampledElements(plan.slice);
  SliceSample& weights = weights_[{owner, bucket}];
  for (size_t i = 0; i < sum.size(); ++i) {
    ++sums_;
    wrong_sums_ += SameBits(sum[i], TreeSum({0, plan_.lanes()}, elements[i], plan_.wire())) ? 0 : 1;
    weights[i] = static_cast<float>(elements[i] % 1024) - kRate * sum[i];
  }
  arrived_[{owner, bucket}].emplace_back(host, weights);
}

void ExchangeValues::WeightsReceived(int owner, int bucket, int host, SliceSample weights) {
  arrived_[{owner, bucket}].emplace_back(host, weights);
}

ValueCheck ExchangeValues::Check() const {
  ValueCheck check{.sums = sums_, .wrong_sums = wrong_sums_};
  for (int bucket = 0; bucket < plan_.slices().buckets(); ++bucket)
    for (int owner = 0; owner < topology_.world_size; ++owner) {
      if (plan_.slices().slice(bucket, owner).size() == 0) continue;
      const auto arrived = arrived_.find({owner, bucket});
      std::set<int> hosts;
      for (const auto& [host, weights] : arrived == arrived_.end() ? decltype(arrived->second){} : arrived->second) {
        ++check.weights;
        check.wrong_weights += SameBits(weights, weights_.at({owner, bucket})) ? 0 : 1;
        hosts.insert(host);
      }
      check.missing_weights += static_cast<int64_t>(topology_.hosts.size() - hosts.size());
    }
  return check;
}

}  // namespace lockstep::launch
