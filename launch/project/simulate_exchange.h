// One step of many ranks, event by event: the plan that comm would run (comm/exchange_plan.h), in the order of
// comm/exchange.cc, on a described network.
//
// What is simulated. Buckets become ready along each rank's last backward pass, as its ops write them. A rank's
// communicating thread does one thing after the other: it folds and sends its host's sums for owners elsewhere, adds up
// and updates its own slices, sends new weights. No more than Exchange's window of buckets is between hosts; a long
// message leaves when its receiver has asked for it, and a message counts as sent when it has arrived. Links are those
// of network.h. A rank ends when all new weights of its part have come and its own are taken, a host with its last
// rank. What is not simulated: cores that the thread shares with lanes, losses and retries, other traffic, messages
// within a host (owners read there in place).
#pragma once

#include <cstdint>
#include <vector>

#include "comm/exchange_plan.h"
#include "comm/topology.h"
#include "launch/project/exchange_values.h"
#include "launch/project/network.h"

namespace lockstep::launch {

/// What a step asks of the ranks beside messages. Seconds.
struct StepLoad {
  std::vector<double> lanes = {};     ///< by rank: when its lanes end
  std::vector<double> backward = {};  ///< by rank: of that, the last lane's backward pass
  std::vector<double> ready = {};     ///< by bucket: the share of that pass that is over when its gradients are whole
  bool share_at_once = true;          ///< else all sums are known, everywhere, before any update (clipping)
  double norm_seconds = 0;            ///< of the norm between, where it is not at once
  double update_seconds = 0;          ///< that the update of an element takes at least
  int update_floats = 2;              ///< that an update reads and writes for each element: weights, optimizer's state
};

struct SimulatedStep {
  double seconds = 0;     ///< until the last rank has ended
  double lanes_mean = 0;  ///< over ranks
  double lanes_most = 0;
  /// Most seconds that one link carries bytes; that one rank's thread spends on messages; and on memory.
  double link_busy = 0, message_busy = 0, memory_busy = 0;
  double host_bytes = 0;  ///< sent by the host that sends most
  int64_t messages = 0;

  /// What comes behind the lanes of the slowest rank.
  double exposed() const { return seconds - lanes_most; }
};

class ExchangeSimulator {
 public:
  /// All outlive this. REQUIRES: network.memory_gb_s > 0.
  ExchangeSimulator(const comm::ExchangePlan& plan, const comm::Topology& topology, const Network& network);

  /// Throws Error(kInternal) where ranks wait for what never comes. `values` may be null.
  SimulatedStep Run(const StepLoad& load, ExchangeValues* values) const;

  const comm::BucketPlan& plan(int rank, int bucket) const {
    return plans_[static_cast<size_t>(rank) * static_cast<size_t>(buckets()) + static_cast<size_t>(bucket)];
  }
  const comm::ExchangePlan& exchange() const { return exchange_; }
  const comm::Topology& topology() const { return topology_; }
  const Network& network() const { return network_; }
  int buckets() const { return exchange_.slices().buckets(); }
  /// Of an element of a sum over lanes, held or sent.
  double SumBytes() const { return static_cast<double>(SizeOf(exchange_.wire())); }
  /// Seconds of reading and writing `bytes` by one of the ranks on a host at once.
  double MemorySeconds(int host, double bytes) const;
  /// Pieces that a host folds for each of its sums; 1: it is sent where it lies.
  int PiecesOf(int host, size_t sum) const { return pieces_[static_cast<size_t>(host)][sum]; }

 private:
  const comm::ExchangePlan& exchange_;
  const comm::Topology& topology_;
  const Network& network_;
  std::vector<comm::BucketPlan> plans_;   ///< by rank, then bucket
  std::vector<std::vector<int>> pieces_;  ///< by host, then sum
};

}  // namespace lockstep::launch
