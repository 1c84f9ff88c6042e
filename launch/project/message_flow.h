// Messages of a simulated step on their way from rank to rank, over the links of their hosts.
//
// Short ones go at once. Of others a word goes to the receiver, who answers when it has asked for them, and then they
// go (what MPI calls rendezvous). Words take the latency alone: connections share a link frame by frame, and a word is
// one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "comm/topology.h"
#include "launch/project/event_queue.h"
#include "launch/project/exchange_values.h"
#include "launch/project/links.h"
#include "launch/project/network.h"

namespace lockstep::launch {

struct Message {
  int from = 0, to = 0, bucket = 0, tag = 0;
  bool weights = false;  ///< else a sum
  double bytes = 0;
  SliceSample values = {};
};

class MessageFlow {
 public:
  /// Those who send and receive.
  class Ranks {
   public:
    virtual ~Ranks() = default;
    /// Whether message.to has asked for it.
    virtual bool IsAwaited(const Message& message) const = 0;
    virtual void Deliver(const Message& message, double now) = 0;
  };

  /// All outlive this.
  MessageFlow(const comm::Topology& topology, const Network& network, EventQueue& events, Ranks& ranks);

  /// From the sender's thread, which is free for other things at `now`.
  void Send(const Message& message, double now);
  /// `rank` has asked for the messages of a bucket: those that were announced are answered.
  void Release(int rank, int bucket, bool weights, double now);
  /// Of kind kHop or kArrived.
  void Happen(const Event& event);

  int64_t sent() const { return sent_; }
  /// Sent in all, by host.
  const std::vector<double>& host_bytes() const { return host_bytes_; }
  /// Most seconds that one link carries bytes.
  double busiest() const { return links_.busiest(); }

 private:
  enum class Stage : uint8_t { kAnnounced, kAnswered, kGoing };
  struct Passage {
    Message message = {};
    Stage stage = Stage::kGoing;
    size_t hop = 0;   ///< of the path, next
    double tail = 0;  ///< when its last byte is where the path begins, or goes on
  };

  int HostOf(int rank) const { return topology_.host_of[static_cast<size_t>(rank)]; }
  Passage& At(int index) { return passages_[static_cast<size_t>(index)]; }
  void Begin(int index, Stage stage, double now);
  void Hop(int index, double now);
  void Arrive(int index, double now);

  const comm::Topology& topology_;
  EventQueue& events_;
  Ranks& ranks_;
  const double latency_, eager_bytes_;
  Links links_;
  std::vector<Passage> passages_;
  std::vector<int> unused_;                               ///< of passages_
  std::unordered_map<int64_t, std::vector<int>> parked_;  ///< announced, not asked for yet
  std::vector<double> host_bytes_;
  int64_t sent_ = 0;
};

}  // namespace lockstep::launch
