#include "launch/project/simulate_exchange.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "launch/project/links.h"

namespace lockstep::launch {
namespace {

constexpr int kWindow = 4;  // as Exchange's
constexpr double kNever = std::numeric_limits<double>::infinity();

constexpr double kWordBytes = 64;  // of an announcement, and of its answer

/// Where a message is. Short ones go at once; of others a word goes to the receiver, who answers when it has asked for
/// them, and then they go. Words wait for links as messages do.
enum class Stage : uint8_t { kAnnounced, kAnswered, kGoing };

struct Message {
  int from = 0, to = 0, bucket = 0, tag = 0;
  bool weights = false;  ///< else a sum
  Stage stage = Stage::kGoing;
  double bytes = 0;
  size_t hop = 0;   ///< of the path, next
  double tail = 0;  ///< when its last byte is where the path begins, or goes on
  SliceSample values = {};
};

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
class StepRun {
 public:
  StepRun(const ExchangeSimulator& simulator, const StepLoad& load, ExchangeValues* values)
      : simulator_(simulator),
        load_(load),
        values_(values),
        overhead_(simulator.network().message_us * 1e-6),
        latency_(simulator.network().latency_us * 1e-6),
        links_(simulator.topology(), simulator.network()),
        ranks_(static_cast<size_t>(simulator.topology().world_size)),
        host_bytes_(simulator.topology().hosts.size()) {
    PlanReady();
    for (int rank = 0; rank < simulator.topology().world_size; ++rank) Prepare(rank);
  }

  SimulatedStep Run();

 private:
  enum class Kind : uint8_t { kAct, kHop, kArrived };
  struct Event {
    double time;
    int64_t order;  ///< of those at one time
    Kind kind;
    int index;  ///< of a rank or a message

    bool operator>(const Event& other) const { return std::tie(time, order) > std::tie(other.time, other.order); }
  };

  Rank& At(int rank) { return ranks_[static_cast<size_t>(rank)]; }
  int HostOf(int rank) const { return simulator_.topology().host_of[static_cast<size_t>(rank)]; }
  void Push(double time, Kind kind, int index) { events_.push({time, ++order_, kind, index}); }
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
  void Send(Message message);
  bool IsAwaited(const Message& message);
  void Release(int rank, int bucket, bool weights, double now);
  void Begin(int index, Stage stage, double now);
  void Hop(int index, double now);
  void Arrive(int index, double now);
  void Deliver(int index, double now);
  SimulatedStep Conclude() const;

  const ExchangeSimulator& simulator_;
  const StepLoad& load_;
  ExchangeValues* values_;
  const double overhead_, latency_;
  Links links_;
  std::vector<Rank> ranks_;
  std::vector<double> ready_;  ///< by host, then bucket
  std::vector<double> host_bytes_;
  std::vector<Message> messages_;
  std::vector<int> unused_;                               ///< of messages_
  std::unordered_map<int64_t, std::vector<int>> parked_;  ///< announced, not asked for yet
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  int64_t order_ = 0, sent_ = 0;
  int summed_ = 0;  ///< ranks
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
  Push(time, Kind::kAct, rank);
}

/// When the pieces of all ranks of a host are there: along the backward pass, by the elements of the buckets up to it.
void StepRun::PlanReady() {
  const auto elements = static_cast<double>(simulator_.exchange().elements());
  for (const std::vector<int>& ranks : simulator_.topology().hosts)
    for (int bucket = 0; bucket < simulator_.buckets(); ++bucket) {
      const double rest = 1 - static_cast<double>(simulator_.exchange().slices().bucket(bucket).end) / elements;
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
    const Event event = events_.top();
    events_.pop();
    switch (event.kind) {
      case Kind::kAct:
        // One that was made earlier since has been dealt with.
        if (event.time == At(event.index).wake) Act(event.index, event.time);
        break;
      case Kind::kHop:
        Hop(event.index, event.time);
        break;
      case Kind::kArrived:
        Arrive(event.index, event.time);
        break;
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
    Send(message);
  }
  if (load_.share_at_once) Release(index, bucket, /*weights=*/true, rank.free);
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
  Release(index, bucket + kWindow, /*weights=*/false, rank.free);
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
    Send(message);
  }
}

int64_t ParkedKey(int rank, int bucket, bool weights) {
  return (int64_t{rank} << 32) | (int64_t{bucket} << 1) | (weights ? 1 : 0);
}

bool StepRun::IsAwaited(const Message& message) {
  const Rank& receiver = At(message.to);
  if (!message.weights) return message.bucket < receiver.reduced + kWindow;
  return load_.share_at_once ? message.bucket < receiver.relayed : receiver.shares;
}

/// From the sender's thread, which is free for other things at Rank::free.
void StepRun::Send(Message message) {
  ++sent_;
  message.tail = At(message.from).free;
  host_bytes_[static_cast<size_t>(HostOf(message.from))] += message.bytes;
  int index = static_cast<int>(messages_.size());
  if (unused_.empty()) {
    messages_.push_back(message);
  } else {
    index = unused_.back();
    unused_.pop_back();
    messages_[static_cast<size_t>(index)] = message;
  }
  Begin(index, message.bytes > simulator_.network().eager_kb * 1024 ? Stage::kAnnounced : Stage::kGoing, message.tail);
}

void StepRun::Begin(int index, Stage stage, double now) {
  Message& message = messages_[static_cast<size_t>(index)];
  message.stage = stage;
  message.hop = 0;
  message.tail = now;
  Push(now, Kind::kHop, index);
}

/// The receiver has asked for messages of a bucket: those that were announced are answered.
void StepRun::Release(int rank, int bucket, bool weights, double now) {
  const auto found = parked_.find(ParkedKey(rank, bucket, weights));
  if (found == parked_.end()) return;
  for (const int index : found->second) Begin(index, Stage::kAnswered, now);
  parked_.erase(found);
}

/// What has come to the end of its path.
void StepRun::Arrive(int index, double now) {
  const Message& message = messages_[static_cast<size_t>(index)];
  if (message.stage == Stage::kGoing) return Deliver(index, now);
  if (message.stage == Stage::kAnswered) return Begin(index, Stage::kGoing, now);
  if (IsAwaited(message)) return Begin(index, Stage::kAnswered, now);
  parked_[ParkedKey(message.to, message.bucket, message.weights)].push_back(index);
}

void StepRun::Hop(int index, double now) {
  Message& message = messages_[static_cast<size_t>(index)];
  const bool back = message.stage == Stage::kAnswered;
  const std::vector<int> path =
      links_.Path(HostOf(back ? message.to : message.from), HostOf(back ? message.from : message.to));
  const double bytes = message.stage == Stage::kGoing ? message.bytes : kWordBytes;
  const Links::Passage passage = links_.Carry(path[message.hop], now, message.tail, bytes);
  ++message.hop;
  // Latency is of the way as a whole: it comes behind the first link.
  const double way = message.hop == 1 ? latency_ : 0;
  message.tail = passage.end + way;
  if (message.hop == path.size())
    Push(message.tail, Kind::kArrived, index);
  else
    Push(passage.begin + way, Kind::kHop, index);
}

void StepRun::Deliver(int index, double now) {
  const Message message = messages_[static_cast<size_t>(index)];
  unused_.push_back(index);
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
  SimulatedStep step{.link_busy = links_.busiest(), .messages = sent_};
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
  step.host_bytes = *std::ranges::max_element(host_bytes_);
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

double LeastHostBytes(int hosts, int64_t elements, DType wire) {
  const auto bytes = static_cast<double>(elements) * static_cast<double>(SizeOf(wire) + SizeOf(DType::kF32));
  return hosts < 2 ? 0 : bytes * (hosts - 1) / hosts;
}

}  // namespace lockstep::launch
