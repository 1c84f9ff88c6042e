#include "exchange_scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <thread>

#include "base/emulated_device.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"
#include "comm/device/device_exchange.h"
#include "comm/device/staged_transport.h"

namespace lockstep::comm {
namespace {

float InitialWeight(int64_t i) { return static_cast<float>(Mix64(static_cast<uint64_t>(i)) >> 40) * 0x1p-24f; }

// Magnitudes from 2^-6 to 2^6, so that nearly every change in the order of adding changes bits.
float Gradient(int lane, int step, int64_t i, float weight) {
  const uint64_t bits = Mix64(Mix64(static_cast<uint64_t>(i) * 1000 + static_cast<uint64_t>(lane)) + uint64_t(step));
  const float mantissa = static_cast<float>(static_cast<int64_t>(bits >> 40) - (1 << 23)) * 0x1p-23f;
  const float scale = std::bit_cast<float>(static_cast<uint32_t>(127 - 6 + bits % 13) << 23);
  return mantissa * scale + weight;
}

float Updated(float weight, float gradient) { return 0.5f * weight - 0.01f * gradient; }

// To the nearest number of 8 bits, ties to even: in double, so that it is not the product's own arithmetic.
float InWire(float value, DType wire) {
  if (wire == DType::kF32 || value == 0) return value;
  int exponent = 0;
  const double mantissa = std::frexp(static_cast<double>(value), &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(mantissa * 256), exponent - 8));
}

template <typename Leaf>
float TreeSum(int begin, int end, DType wire, const Leaf& leaf) {
  if (end - begin == 1) return InWire(leaf(begin), wire);
  int half = 1;
  while (2 * half < end - begin) half *= 2;
  return InWire(TreeSum(begin, begin + half, wire, leaf) + TreeSum(begin + half, end, wire, leaf), wire);
}

// A piece's element, which holds `value` exactly.
void Put(float value, std::byte* piece, int64_t element, DType wire) {
  if (wire == DType::kF32) {
    reinterpret_cast<float*>(piece)[element] = value;
  } else {
    reinterpret_cast<uint16_t*>(piece)[element] = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }
}

// What an executor does in a step: reads the weights of a bucket, writes its part of the gradients, says so. Odd
// executors go through the buckets backwards.
void Compute(Exchange& exchange, const Scenario& scenario, int rank, int executor, int step) {
  const int buckets = exchange.slices().buckets();
  for (int n = 0; n < buckets; ++n) {
    const int bucket = executor % 2 == 0 ? n : buckets - 1 - n;
    if (scenario.before_bucket) scenario.before_bucket(rank, step, bucket);
    const ElementRange range = exchange.slices().bucket(bucket);
    for (size_t p = 0; p < exchange.pieces(executor).size(); ++p) {
      const LaneRange node = exchange.piece_nodes(executor)[p];
      for (int64_t i = range.begin; i < range.end; ++i) {
        const float weight = exchange.weights()[static_cast<size_t>(i)];
        const float sum =
            TreeSum(node.begin, node.end, scenario.wire, [&](int lane) { return Gradient(lane, step, i, weight); });
        Put(sum, exchange.pieces(executor)[p], i, scenario.wire);
      }
    }
    exchange.PieceReady(executor, bucket);
  }
}

// Threads that are joined, whatever ends the step.
class Executors {
 public:
  Executors(Exchange& exchange, const Scenario& scenario, int rank, int count, int step) {
    for (int executor = 0; executor < count; ++executor) {
      threads_.emplace_back([=, &exchange, &scenario] { Compute(exchange, scenario, rank, executor, step); });
    }
  }

 private:
  std::vector<std::jthread> threads_;
};

void EvaluateInCuts(const SliceSum& sum, int64_t cut, std::span<float> out) {
  for (size_t begin = 0; begin < out.size(); begin += static_cast<size_t>(cut)) {
    sum.Evaluate(static_cast<int64_t>(begin),
                 out.subspan(begin, std::min(static_cast<size_t>(cut), out.size() - begin)));
  }
}

}  // namespace

std::string Scenario::ToString() const {
  std::string counts;
  for (int count : executors) counts += std::to_string(count) + " ";
  return fmt::format("{} lanes, executors {}, {} elements in buckets of {}, at once {}, cut {}, sums of {}", lanes,
                     counts, elements, bucket, share_at_once, cut, Name(wire));
}

LanePlan MakePlan(int lanes, const std::vector<int>& executors) {
  LanePlan plan;
  for (LaneRange run : DealLanes(lanes, static_cast<int>(executors.size()))) {
    const int count = executors[plan.size()];
    std::vector<LaneRange>& runs = plan.emplace_back();
    for (LaneRange part : DealLanes(run.size(), std::min(count, run.size()))) {
      runs.push_back({run.begin + part.begin, run.begin + part.end});
    }
    runs.resize(static_cast<size_t>(count), {run.end, run.end});
  }
  return plan;
}

std::vector<float> ReferenceWeights(const Scenario& scenario) {
  std::vector<float> weights(static_cast<size_t>(scenario.elements));
  for (int64_t i = 0; i < scenario.elements; ++i) {
    float& weight = weights[static_cast<size_t>(i)];
    weight = InitialWeight(i);
    for (int step = 0; step < scenario.steps; ++step) {
      weight = Updated(
          weight, TreeSum(0, scenario.lanes, scenario.wire, [&](int lane) { return Gradient(lane, step, i, weight); }));
    }
  }
  return weights;
}

std::vector<float> RunScenario(Communicator& comm, const Scenario& scenario) {
  CHECK(static_cast<int>(scenario.executors.size()) == comm.world_size());
  Exchange exchange(comm, {scenario.lanes, MakePlan(scenario.lanes, scenario.executors),
                           CutBuckets(scenario.elements, scenario.bucket), scenario.wire});
  const std::span<float> weights = exchange.weights();
  const auto slice_of = [&](ElementRange range) {
    return weights.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size()));
  };
  for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) {
    const ElementRange range = exchange.slices().slice(bucket, comm.rank());
    for (int64_t i = range.begin; i < range.end; ++i) weights[static_cast<size_t>(i)] = InitialWeight(i);
  }
  exchange.ShareNow();

  const auto update = [](std::span<float> slice, const std::vector<float>& sum) {
    for (size_t i = 0; i < slice.size(); ++i) slice[i] = Updated(slice[i], sum[i]);
  };
  for (int step = 0; step < scenario.steps; ++step) {
    exchange.Begin(step);
    const int executors = scenario.executors[static_cast<size_t>(comm.rank())];
    Executors threads(exchange, scenario, comm.rank(), executors, step);
    std::vector<std::pair<ElementRange, std::vector<float>>> kept;
    exchange.Reduce(
        [&](int, ElementRange range, const SliceSum& sum) {
          std::vector<float> out(static_cast<size_t>(range.size()));
          EvaluateInCuts(sum, scenario.cut, out);
          if (scenario.share_at_once) {
            update(slice_of(range), out);
          } else {
            kept.emplace_back(range, std::move(out));
          }
        },
        scenario.share_at_once);
    for (const auto& [range, sum] : kept) update(slice_of(range), sum);
    exchange.Share();
  }
  const std::vector<float> result(weights.begin(), weights.end());
  comm.Wait(*comm.Barrier(), "the end of the scenario");
  return result;
}

namespace {

/// Writes a bucket of a rank's pieces; reads its weights.
void FillPieces(const DeviceExchange& exchange, int step, int bucket) {
  const ElementRange range = exchange.slices().bucket(bucket);
  for (size_t p = 0; p < exchange.pieces().size(); ++p) {
    const LaneRange node = exchange.piece_nodes()[p];
    for (int64_t i = range.begin; i < range.end; ++i) {
      const float weight = exchange.weights()[i];
      const float sum =
          TreeSum(node.begin, node.end, exchange.wire(), [&](int lane) { return Gradient(lane, step, i, weight); });
      Put(sum, exchange.pieces()[p], i, exchange.wire());
    }
  }
}

/// The sum of the own slice, as a kernel takes it: from tables in device memory.
std::vector<float> SumOf(const DeviceSum& sum, DType wire, int64_t size, int64_t cut) {
  std::vector<LaneSumStep> order;
  for (int i = 0; i < 2 * sum.count - 1; ++i) order.push_back({sum.order[i]});
  std::vector<float> out(static_cast<size_t>(size));
  EvaluateInCuts(SliceSum({sum.pieces, sum.pieces + sum.count}, std::move(order), wire), cut, out);
  return out;
}

void UpdateSlice(float* weights, const std::vector<float>& sum) {
  for (size_t i = 0; i < sum.size(); ++i) weights[i] = Updated(weights[i], sum[i]);
}

/// One rank's device and its two streams.
class DeviceRun {
 public:
  DeviceRun(Communicator& comm, const Scenario& scenario)
      : scenario_(scenario),
        rank_(comm.rank()),
        transport_(MakeStagedTransport(comm, *device_)),
        exchange_(comm, *device_, *transport_,
                  {scenario.lanes, MakePlan(scenario.lanes, scenario.executors),
                   CutBuckets(scenario.elements, scenario.bucket), scenario.wire}) {
    for (int bucket = 0; bucket < buckets(); ++bucket) ready_.push_back(device_->MakeEvent());
  }

  std::vector<float> Train() {
    for (int bucket = 0; bucket < buckets(); ++bucket) {
      const ElementRange mine = Mine(bucket);
      for (int64_t i = mine.begin; i < mine.end; ++i) exchange_.weights()[i] = InitialWeight(i);
      exchange_.Share(exchanges_, bucket);
    }
    exchanges_.Record(*shared_);
    for (int step = 0; step < scenario_.steps; ++step) Step(step);
    exchanges_.Synchronize();
    return {exchange_.weights(), exchange_.weights() + scenario_.elements};
  }

 private:
  int buckets() const { return exchange_.slices().buckets(); }
  ElementRange Mine(int bucket) const { return exchange_.slices().slice(bucket, rank_); }

  void Step(int step) {
    lanes_.Wait(*shared_);
    for (int bucket = 0; bucket < buckets(); ++bucket) {
      lanes_.Enqueue([=, this] {
        if (scenario_.before_bucket) scenario_.before_bucket(rank_, step, bucket);
        FillPieces(exchange_, step, bucket);
      });
      lanes_.Record(*ready_[static_cast<size_t>(bucket)]);
    }
    std::vector<std::vector<float>> kept(static_cast<size_t>(buckets()));
    for (int bucket = 0; bucket < buckets(); ++bucket) {
      exchanges_.Wait(*ready_[static_cast<size_t>(bucket)]);
      exchange_.Collect(exchanges_, bucket);
      std::vector<float>& sum = kept[static_cast<size_t>(bucket)];
      exchanges_.Enqueue([&sum, this, bucket] {
        if (Mine(bucket).size() > 0)
          sum = SumOf(exchange_.sums(bucket), exchange_.wire(), Mine(bucket).size(), scenario_.cut);
      });
      if (scenario_.share_at_once) UpdateAndShare(bucket, sum);
    }
    for (int bucket = 0; !scenario_.share_at_once && bucket < buckets(); ++bucket)
      UpdateAndShare(bucket, kept[static_cast<size_t>(bucket)]);
    exchanges_.Record(*shared_);
    exchanges_.Synchronize();
  }
  void UpdateAndShare(int bucket, const std::vector<float>& sum) {
    exchanges_.Enqueue([&sum, this, bucket] { UpdateSlice(exchange_.weights() + Mine(bucket).begin, sum); });
    exchange_.Share(exchanges_, bucket);
  }

  const Scenario& scenario_;
  const int rank_;
  std::unique_ptr<Device> device_ = MakeEmulatedDevice();
  std::unique_ptr<DeviceTransport> transport_;
  DeviceExchange exchange_;
  std::vector<std::unique_ptr<DeviceEvent>> ready_;
  std::unique_ptr<DeviceEvent> shared_ = device_->MakeEvent();
  EmulatedStream lanes_, exchanges_;
};

}  // namespace

std::vector<float> RunDeviceScenario(Communicator& comm, const Scenario& scenario) {
  const std::vector<float> weights = DeviceRun(comm, scenario).Train();
  comm.Wait(*comm.Barrier(), "the end of the scenario");
  return weights;
}

uint64_t HashOf(const std::vector<float>& weights) { return Hash64(std::as_bytes(std::span(weights))); }

}  // namespace lockstep::comm
