#include "launch/scale/link_use.h"

#include <algorithm>
#include <map>
#include <string>

namespace lockstep::launch {
namespace {

/// The slowest way out of a host; 0: none was measured.
double SlowestFrom(const std::string& host, const HostLimits& limits) {
  double slowest = 0;
  for (const LinkLimit& link : limits.BetweenHosts())
    if (link.from == host && (slowest == 0 || link.gbit < slowest)) slowest = link.gbit;
  return slowest;
}

}  // namespace

LinkUse LinkUseOf(const RunResult& run, const HostLimits& limits) {
  std::map<std::string, double> sent;
  const double steps = static_cast<double>(std::max<uint64_t>(1, run.steps));
  for (const records::RankTimes& rank : run.ranks) sent[rank.host] += static_cast<double>(rank.sent_bytes) / steps;
  LinkUse use{.hosts = static_cast<int>(sent.size())};
  if (use.hosts < 2) return use;
  for (const auto& [host, bytes] : sent) {
    use.host_bytes = std::max(use.host_bytes, bytes);
    if (const double gbit = SlowestFrom(host, limits); gbit > 0)
      use.link_seconds = std::max(use.link_seconds, bytes * 8 / (gbit * 1e9));
  }
  return use;
}

double LeastHostBytes(double bytes, int hosts) { return hosts < 2 ? 0 : 2.0 * (hosts - 1) / hosts * bytes; }

}  // namespace lockstep::launch
