#include "launch/scale/measure_links.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>

#include "base/machine/cores.h"
#include "base/memory.h"
#include "launch/scale/machine_limits.h"
#include "launch/scale/statistics.h"

namespace lockstep::launch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMessage = size_t{1} << 20, kUnderWay = 4;
constexpr int kTag = 1, kRoundTrips = 200, kWarmUp = 10;
constexpr double kSecondsOfAll = 60, kLeastSeconds = 0.02;

double SecondsSince(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// Two ranks that measure what lies between them.
struct Pair {
  int first = 0, second = 0;
};

/// The first two ranks of each host, then the first ones of each two hosts.
std::vector<Pair> PairsOf(const comm::Topology& topology) {
  std::vector<Pair> pairs;
  for (const std::vector<int>& ranks : topology.hosts)
    if (ranks.size() > 1) pairs.push_back({ranks[0], ranks[1]});
  for (size_t i = 0; i < topology.hosts.size(); ++i)
    for (size_t j = i + 1; j < topology.hosts.size(); ++j)
      pairs.push_back({topology.hosts[i].front(), topology.hosts[j].front()});
  return pairs;
}

/// One rank's end of a link.
class LinkEnd {
 public:
  LinkEnd(comm::Communicator& comm, int peer) : comm_(comm), peer_(peer), memory_(kUnderWay * kMessage) {
    std::memset(memory_.data(), 1, kUnderWay * kMessage);
  }

  /// Half of the median round trip, in microseconds; both ends call it, `leads` on one of them.
  double Latency(bool leads, double seconds) {
    std::vector<double> trips;
    const Clock::time_point begin = Clock::now();
    for (int i = 0; i < kRoundTrips + kWarmUp; ++i) {
      // The one that leads decides when it is enough, and both stop at the same trip.
      const bool last = i + 1 == kRoundTrips + kWarmUp || (i > kWarmUp && SecondsSince(begin) > seconds);
      const Clock::time_point sent = Clock::now();
      if (leads) {
        SendWord(last ? 1 : 0);
        ReceiveWord();
        if (i >= kWarmUp) trips.push_back(SecondsSince(sent));
        if (last) break;
      } else {
        const uint64_t word = ReceiveWord();
        SendWord(word);
        if (word == 1) break;
      }
    }
    return trips.empty() ? 0 : Median(trips) / 2 * 1e6;
  }

  /// Gbit/s of streams that get longer until one takes `seconds` and has `least` messages.
  double SendStreams(double seconds, uint64_t least) {
    double gbit = 0;
    for (uint64_t messages = 1; messages > 0;) {
      SendWord(messages);
      const Clock::time_point begin = Clock::now();
      Stream(messages, [&](std::span<std::byte> bytes) { return comm_.Send(bytes, peer_, kTag); });
      ReceiveWord();
      const double taken = std::max(SecondsSince(begin), 1e-9);
      gbit = static_cast<double>(messages * kMessage) * 8e-9 / taken;
      if (taken >= seconds && messages >= least) break;
      // To what takes as long as is wanted, but not by more than eight times at once: links begin slowly.
      const double wanted = static_cast<double>(messages) * 1.2 * seconds / taken;
      messages = std::max({least, messages + 1, static_cast<uint64_t>(std::min(wanted, 8.0 * messages))});
    }
    SendWord(0);
    return gbit;
  }

  void ReceiveStreams() {
    while (const uint64_t messages = ReceiveWord()) {
      Stream(messages, [&](std::span<std::byte> bytes) { return comm_.Receive(bytes, peer_, kTag); });
      SendWord(0);
    }
  }

 private:
  static constexpr const char* kWhat = "the measurement of a link";

  void SendWord(uint64_t word) {
    auto pending = comm_.Send(std::as_bytes(std::span(&word, 1)), peer_, kTag);
    comm_.Wait(*pending, kWhat);
  }
  uint64_t ReceiveWord() {
    uint64_t word = 0;
    auto pending = comm_.Receive(std::as_writable_bytes(std::span(&word, 1)), peer_, kTag);
    comm_.Wait(*pending, kWhat);
    return word;
  }

  template <typename Start>
  void Stream(uint64_t messages, const Start& start) {
    std::array<std::unique_ptr<comm::Pending>, kUnderWay> under_way;
    for (uint64_t i = 0; i < messages + kUnderWay; ++i) {
      std::unique_ptr<comm::Pending>& pending = under_way[i % kUnderWay];
      if (pending) comm_.Wait(*pending, kWhat);
      pending.reset();
      if (i < messages) pending = start({memory_.As<std::byte>().data() + i % kUnderWay * kMessage, kMessage});
    }
  }

  comm::Communicator& comm_;
  const int peer_;
  Buffer memory_;
};

void Meet(comm::Communicator& comm) {
  auto barrier = comm.Barrier();
  comm.Wait(*barrier, "the other ranks of a measurement");
}

/// Everybody's rows, in the order of ranks.
HostLimits GatherLimits(comm::Communicator& comm, const HostLimits& mine) {
  HostLimits all;
  for (const std::string& text : GatherStrings(comm, DumpJson(HostLimitsJson(mine)), "what was measured")) {
    const HostLimits limits = ParseHostLimits(ParseJsonObject(text));
    all.hosts.insert(all.hosts.end(), limits.hosts.begin(), limits.hosts.end());
    all.links.insert(all.links.end(), limits.links.begin(), limits.links.end());
  }
  return all;
}

/// Of what this process may use, its part, where the ranks of its host share it.
int CoresOfRank(comm::Communicator& comm) {
  const CoreBudget budget = QueryCores();
  const std::string mask = fmt::format("{}", fmt::join(budget.allowed, ","));
  const std::vector<std::string> masks = GatherStrings(comm, mask, "which cores the ranks may use");
  int sharers = 0;
  for (const int rank : comm.topology().hosts[static_cast<size_t>(comm.topology().host())])
    sharers += masks[static_cast<size_t>(rank)] == mask;
  // What Slurm says is of a task alone.
  return budget.slurm > 0 ? budget.usable : std::max(1, budget.usable / std::max(1, sharers));
}

}  // namespace

std::vector<LinkLimit> MeasureLinks(comm::Communicator& comm, const LinkRequest& request) {
  const comm::Topology& topology = comm.topology();
  const std::vector<Pair> pairs = PairsOf(topology);
  const auto ways = static_cast<double>(std::max<size_t>(1, 2 * pairs.size()));
  const double seconds = std::min(request.seconds, std::max(kLeastSeconds, kSecondsOfAll / ways));
  const auto least = static_cast<uint64_t>(request.least_messages);
  HostLimits mine;
  for (const Pair& pair : pairs) {
    Meet(comm);
    const bool first = topology.rank == pair.first;
    if (!first && topology.rank != pair.second) continue;
    const int peer = first ? pair.second : pair.first;
    LinkEnd end(comm, peer);
    LinkLimit link{.from = topology.host_name(), .to = topology.host_name_of[static_cast<size_t>(peer)]};
    for (const bool own : {first, !first}) {
      const double latency = end.Latency(own, seconds);
      if (own) link.latency_us = latency;
      if (own)
        link.gbit = end.SendStreams(seconds, least);
      else
        end.ReceiveStreams();
    }
    // Of a host by itself one way is enough.
    if (first || link.from != link.to) mine.links.push_back(link);
  }
  Meet(comm);
  return GatherLimits(comm, mine).links;
}

std::vector<HostLimit> MeasureHosts(comm::Communicator& comm, int cores, double seconds) {
  const int own = CoresOfRank(comm);
  HostLimits mine;
  if (comm.topology().local_rank() == 0) {
    const int threads = cores > 0 ? cores : own;
    mine.hosts.push_back({.name = comm.topology().host_name(),
                          .cores = threads,
                          .matrix_gflops = MeasureMatrixRate(threads, seconds),
                          .copy_gb_s = MeasureCopyRate(threads, seconds)});
  }
  return GatherLimits(comm, mine).hosts;
}

}  // namespace lockstep::launch
