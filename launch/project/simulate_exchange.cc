#include "launch/project/simulate_exchange.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "launch/project/event_queue.h"
#include "launch/project/message_flow.h"

namespace lockstep::launch {
namespace {

constexpr int kWindow = 4;  // as Exchange's
constexpr double kNever = std::numeric_limits<double>::infinity();

struct Rank {
  int relayed = 0, reduced = 0;
  double wake = kNever;       ///< when it looks next what is to be done
  double free = 0, last = 0;  ///< until when its thread works; when something last happened to it
  bool summed = false, shares = false;
  int64_t sending = 0, weights_awaited = 0;
  std::vector<int> sums_sending, sums_awaited;  ///< by bucket
  double message_busy = 0, memory_busy = 0;
};

/// A step under way.
class StepRun final : private MessageFlow::Ranks {
 public:
  StepRun(const ExchangeSimulator& simulator, const StepLoad& load, ExchangeValues* values)
      : simulator_(simulator),
        load_(load),
        values_(values),
        overhead_(simulator.network().message_us * 1e-6),
        flow_(simulator.topology(), simulator.network(), events_, *this),
        ranks_(static_cast<size_t>(simulator.topology().world_size)) {
    PlanReady();
    for (int rank = 0; rank < simulator.topology().world_size; ++rank) Prepare(rank);
  }

  SimulatedStep Run();

 private:
  Rank& At(int rank) { return ranks_[static_cast<size_t>(rank)]; }
  int HostOf(int rank) const { return simulator_.topology().host_of[static_cast<size_t>(rank)]; }
  void Wake(int rank, double time);
  void Prepare(int rank);
  void PlanReady();
  double ReadyAt(int host, int bucket) const;

  void Act(int rank, double now);
  bool SlotIsFree(const Rank& rank) const;
  void Relay(int rank, double now);
  void Reduce(int rank, double now);
  void NoteSummed(int rank, double now);
  void ShareAll(double now);
  void SendWeights(int rank, int bucket);

  void Use(Rank& rank, double seconds, double Rank::*busy);
  bool IsAwaited(const Message& message) const override;
  void Deliver(const Message& message, double now) override;
  SimulatedStep Conclude() const;

  const ExchangeSimulator& simulator_;
  const StepLoad& load_;
  ExchangeValues* values_;
  const double overhead_;
  EventQueue events_;
  MessageFlow flow_;
  std::vector<Rank> ranks_;
  std::vector<double> ready_;  ///< by host, then bucket
  int summed_ = 0;             ///< ranks
};

void StepRun::Prepare(int index) {
  Rank& rank = At(index);
  for (int bucket = 0; bucket < simulator_.buckets(); ++bucket) {
    const comm::BucketPlan& plan = simulator_.plan(index, bucket);
    rank.sums_sending.push_back(static_cast<int>(plan.outgoing.size()));
    rank.sums_awaited.push_back(static_cast<int>(plan.incoming.size()));
    rank.weights_awaited += static_cast<int64_t>(plan.relayed.size());
    rank.sending += static_cast<int64_t>(plan.outgoing.size() + plan.relays.size());
  }
  Wake(index, 0);
}

void StepRun::Wake(int rank, double time) {
  if (time >= At(rank).wake) return;
  At(rank).wake = time;
  events_.Push(time, Event::Kind::kAct, rank);
}

/// When the pieces of all ranks of a host are there.
void StepRun::PlanReady() {
  CHECK(static_cast<int>(load_.ready.size()) == simulator_.buckets());
  for (const std::vector<int>& ranks : simulator_.topology().hosts)
    for (int bucket = 0; bucket < simulator_.buckets(); ++bucket) {
      const double rest = 1 - load_.ready[static_cast<size_t>(bucket)];
      double ready = 0;
      for (const int rank : ranks) {
        const auto at = static_cast<size_t>(rank);
        ready = std::max(ready, load_.lanes[at] - rest * load_.backward[at]);
      }
      ready_.push_back(ready);
    }
}

double StepRun::ReadyAt(int host, int bucket) const {
  return ready_[static_cast<size_t>(host) * static_cast<size_t>(simulator_.buckets()) + static_cast<size_t>(bucket)];
}

SimulatedStep StepRun::Run() {
  while (!events_.empty()) {
    const Event event = events_.Pop();
    if (event.kind != Event::Kind::kAct) {
      flow_.Happen(event);
    } else if (event.time == At(event.index).wake) {
      // One that was made earlier since has been dealt with.
      Act(event.index, event.time);
    }
  }
  return Conclude();
}

bool StepRun::SlotIsFree(const Rank& rank) const {
  return rank.relayed < kWindow || rank.sums_sending[static_cast<size_t>(rank.relayed - kWindow)] == 0;
}

/// As Exchange::Advance: relaying first, others wait for it.
void StepRun::Act(int index, double now) {
  Rank& rank = At(index);
  rank.wake = kNever;
  if (now < rank.free) return Wake(index, rank.free);
  if (rank.relayed < simulator_.buckets() && SlotIsFree(rank)) {
    const double ready = ReadyAt(HostOf(index), rank.relayed);
    if (ready <= now) return Relay(index, now);
    Wake(index, ready);
  }
  if (rank.reduced < rank.relayed && rank.sums_awaited[static_cast<size_t>(rank.reduced)] == 0)
    return Reduce(index, now);
  if (!load_.share_at_once && rank.reduced == simulator_.buckets() && !rank.summed) NoteSummed(index, now);
}

void StepRun::Use(Rank& rank, double seconds, double Rank::*busy) {
  rank.free += seconds;
  rank.last = std::max(rank.last, rank.free);
  rank.*busy += seconds;
}

void StepRun::Relay(int index, double now) {
  Rank& rank = At(index);
  const int host = HostOf(index), bucket = rank.relayed++;
  rank.free = now;
  for (const comm::BucketPlan::Outgoing& out : simulator_.plan(index, bucket).outgoing) {
    const auto elements = static_cast<double>(out.range.size());
    if (const int pieces = simulator_.PiecesOf(host, out.sum); pieces > 1)
      Use(rank, simulator_.MemorySeconds(host, (pieces + 1) * elements * simulator_.SumBytes()), &Rank::memory_busy);
    Use(rank, overhead_, &Rank::message_busy);
    Message message{
        .from = index, .to = out.to, .bucket = bucket, .tag = out.tag, .bytes = elements * simulator_.SumBytes()};
    if (values_ != nullptr) message.values = values_->SumOf(index, out);
    flow_.Send(message, rank.free);
  }
  if (load_.share_at_once) flow_.Release(index, bucket, /*weights=*/true, rank.free);
  Wake(index, rank.free);
}

void StepRun::Reduce(int index, double now) {
  Rank& rank = At(index);
  const int host = HostOf(index), bucket = rank.reduced++;
  const comm::BucketPlan& plan = simulator_.plan(index, bucket);
  rank.free = now;
  const size_t addends = simulator_.exchange().pieces(host).size() + plan.incoming.size();
  // Where sums are kept they are written, and read again by the update.
  const double bytes = static_cast<double>(addends) * simulator_.SumBytes() +
                       (load_.share_at_once ? load_.update_floats : 1) * sizeof(float);
  const auto elements = static_cast<double>(plan.slice.size());
  const double updating = load_.share_at_once ? load_.update_seconds : 0;
  Use(rank, std::max(simulator_.MemorySeconds(host, bytes * elements), updating * elements), &Rank::memory_busy);
  if (values_ != nullptr && plan.slice.size() > 0) values_->Reduce(index, bucket, plan);
  if (load_.share_at_once) SendWeights(index, bucket);
  flow_.Release(index, bucket + kWindow, /*weights=*/false, rank.free);
  Wake(index, rank.free);
}

void StepRun::NoteSummed(int index, double now) {
  const double lanes = load_.lanes[static_cast<size_t>(index)];
  if (now < lanes) return Wake(index, lanes);
  At(index).summed = true;
  if (++summed_ == simulator_.topology().world_size) ShareAll(now + load_.norm_seconds);
}

/// After the norm: updates from sums that were kept, then all new weights.
void StepRun::ShareAll(double now) {
  for (int index = 0; index < simulator_.topology().world_size; ++index) {
    Rank& rank = At(index);
    rank.free = now;
    rank.shares = true;
    const auto owned = static_cast<double>(simulator_.exchange().slices().owned(index));
    const double bytes = owned * (load_.update_floats + 1) * sizeof(float);
    Use(rank, std::max(simulator_.MemorySeconds(HostOf(index), bytes), owned * load_.update_seconds),
        &Rank::memory_busy);
  }
  for (int index = 0; index < simulator_.topology().world_size; ++index)
    for (int bucket = 0; bucket < simulator_.buckets(); ++bucket) SendWeights(index, bucket);
}

void StepRun::SendWeights(int index, int bucket) {
  Rank& rank = At(index);
  const comm::BucketPlan& plan = simulator_.plan(index, bucket);
  for (const int relay : plan.relays) {
    Use(rank, overhead_, &Rank::message_busy);
    Message message{.from = index,
                    .to = relay,
                    .bucket = bucket,
                    .tag = plan.weights_tag,
                    .weights = true,
                    .bytes = static_cast<double>(plan.slice.size()) * sizeof(float)};
    if (values_ != nullptr) message.values = values_->WeightsOf(index, bucket);
    flow_.Send(message, rank.free);
  }
}

bool StepRun::IsAwaited(const Message& message) const {
  const Rank& receiver = ranks_[static_cast<size_t>(message.to)];
  if (!message.weights) return message.bucket < receiver.reduced + kWindow;
  return load_.share_at_once ? message.bucket < receiver.relayed : receiver.shares;
}

void StepRun::Deliver(const Message& message, double now) {
  Rank& from = At(message.from);
  Rank& to = At(message.to);
  --from.sending;
  from.last = std::max(from.last, now);
  if (!message.weights && --from.sums_sending[static_cast<size_t>(message.bucket)] == 0)
    Wake(message.from, std::max(now, from.free));
  to.free = std::max(to.free, now);
  Use(to, overhead_, &Rank::message_busy);
  if (message.weights) {
    --to.weights_awaited;
    if (values_ != nullptr) values_->WeightsReceived(message.from, message.bucket, HostOf(message.to), message.values);
    return;
  }
  if (values_ != nullptr) values_->SumReceived(message.to, message.bucket, message.from, message.tag, message.values);
  if (--to.sums_awaited[static_cast<size_t>(message.bucket)] == 0) Wake(message.to, to.free);
}

SimulatedStep StepRun::Conclude() const {
  SimulatedStep step{.link_busy = flow_.busiest(), .messages = flow_.sent()};
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const Rank& rank = ranks_[i];
    CHECK(rank.reduced == simulator_.buckets() && rank.sending == 0 && rank.weights_awaited == 0,
          "rank {} has reduced {} buckets, {} of its messages and {} weights are missing", i, rank.reduced,
          rank.sending, rank.weights_awaited);
    step.seconds = std::max({step.seconds, rank.last, load_.lanes[i]});
    step.message_busy = std::max(step.message_busy, rank.message_busy);
    step.memory_busy = std::max(step.memory_busy, rank.memory_busy);
  }
  step.lanes_most = *std::ranges::max_element(load_.lanes);
  step.lanes_mean =
      std::accumulate(load_.lanes.begin(), load_.lanes.end(), 0.0) / static_cast<double>(load_.lanes.size());
  step.host_bytes = *std::ranges::max_element(flow_.host_bytes());
  return step;
}

}  // namespace

ExchangeSimulator::ExchangeSimulator(const comm::ExchangePlan& plan, const comm::Topology& topology,
                                     const Network& network)
    : exchange_(plan), topology_(topology), network_(network) {
  CHECK(network.memory_gb_s > 0);
  plans_.reserve(static_cast<size_t>(topology.world_size) * static_cast<size_t>(buckets()));
  for (int rank = 0; rank < topology.world_size; ++rank)
    for (int bucket = 0; bucket < buckets(); ++bucket) plans_.push_back(plan.PlanBucket(rank, bucket));
  for (int host = 0; host < static_cast<int>(topology.hosts.size()); ++host) {
    std::vector<int>& pieces = pieces_.emplace_back();
    for (const comm::HostSum& sum : plan.HostSums(host)) pieces.push_back(static_cast<int>(sum.pieces.size()));
  }
}

SimulatedStep ExchangeSimulator::Run(const StepLoad& load, ExchangeValues* values) const {
  return StepRun(*this, load, values).Run();
}

double ExchangeSimulator::MemorySeconds(int host, double bytes) const {
  const auto ranks = static_cast<double>(topology_.hosts[static_cast<size_t>(host)].size());
  return bytes * ranks / (network_.memory_gb_s * 1e9);
}

}  // namespace lockstep::launch
