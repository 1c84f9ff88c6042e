#include "launch/project/message_flow.h"

#include "base/error.h"

namespace lockstep::launch {
namespace {

int64_t ParkedKey(int rank, int bucket, bool weights) {
  return (int64_t{rank} << 32) | (int64_t{bucket} << 1) | (weights ? 1 : 0);
}

}  // namespace

MessageFlow::MessageFlow(const comm::Topology& topology, const Network& network, EventQueue& events, Ranks& ranks)
    : topology_(topology),
      events_(events),
      ranks_(ranks),
      latency_(network.latency_us * 1e-6),
      eager_bytes_(network.eager_kb * 1024),
      links_(topology, network),
      host_bytes_(topology.hosts.size()) {}

void MessageFlow::Send(const Message& message, double now) {
  ++sent_;
  host_bytes_[static_cast<size_t>(HostOf(message.from))] += message.bytes;
  int index = static_cast<int>(passages_.size());
  if (unused_.empty()) {
    passages_.emplace_back();
  } else {
    index = unused_.back();
    unused_.pop_back();
  }
  At(index).message = message;
  Begin(index, message.bytes > eager_bytes_ ? Stage::kAnnounced : Stage::kGoing, now);
}

void MessageFlow::Begin(int index, Stage stage, double now) {
  Passage& passage = At(index);
  passage.stage = stage;
  passage.hop = 0;
  passage.tail = now;
  // An announcement and its answer are a word each, on a connection of their own: they pass between frames of long
  // messages.
  if (stage == Stage::kGoing)
    events_.Push(now, Event::Kind::kHop, index);
  else
    events_.Push(now + latency_, Event::Kind::kArrived, index);
}

void MessageFlow::Release(int rank, int bucket, bool weights, double now) {
  const auto found = parked_.find(ParkedKey(rank, bucket, weights));
  if (found == parked_.end()) return;
  for (const int index : found->second) Begin(index, Stage::kAnswered, now);
  parked_.erase(found);
}

void MessageFlow::Happen(const Event& event) {
  CHECK(event.kind != Event::Kind::kAct);
  event.kind == Event::Kind::kHop ? Hop(event.index, event.time) : Arrive(event.index, event.time);
}

void MessageFlow::Hop(int index, double now) {
  Passage& passage = At(index);
  const Message& message = passage.message;
  const std::vector<int> path = links_.Path(HostOf(message.from), HostOf(message.to));
  const Links::Passage carried = links_.Carry(path[passage.hop], now, passage.tail, message.bytes);
  ++passage.hop;
  // Latency is of the way as a whole: it comes behind the first link.
  const double way = passage.hop == 1 ? latency_ : 0;
  passage.tail = carried.end + way;
  if (passage.hop == path.size())
    events_.Push(passage.tail, Event::Kind::kArrived, index);
  else
    events_.Push(carried.begin + way, Event::Kind::kHop, index);
}

/// What has come to the end of its path.
void MessageFlow::Arrive(int index, double now) {
  const Passage& passage = At(index);
  if (passage.stage == Stage::kAnswered) return Begin(index, Stage::kGoing, now);
  const Message message = passage.message;
  if (passage.stage == Stage::kGoing) {
    unused_.push_back(index);
    return ranks_.Deliver(message, now);
  }
  if (ranks_.IsAwaited(message)) return Begin(index, Stage::kAnswered, now);
  parked_[ParkedKey(message.to, message.bucket, message.weights)].push_back(index);
}

}  // namespace lockstep::launch
