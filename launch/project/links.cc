#include "launch/project/links.h"

#include <algorithm>

namespace lockstep::launch {
namespace {

constexpr double kBytesPerGbit = 1e9 / 8;

}  // namespace

Links::Links(const comm::Topology& topology, const Network& network)
    : hosts_(static_cast<int>(topology.hosts.size())), hosts_per_rack_(network.hosts_per_rack) {
  if (hosts_per_rack_ > 0) racks_ = (hosts_ + hosts_per_rack_ - 1) / hosts_per_rack_;
  const double uplink = network.uplink_gbit > 0 ? network.uplink_gbit : network.gbit * std::max(1, hosts_per_rack_);
  links_.assign(2 * static_cast<size_t>(hosts_), {.bytes_per_s = network.gbit * kBytesPerGbit});
  links_.resize(links_.size() + 2 * static_cast<size_t>(racks_), {.bytes_per_s = uplink * kBytesPerGbit});
}

std::vector<int> Links::Path(int from_host, int to_host) const {
  std::vector<int> path{from_host};
  if (racks_ > 0 && from_host / hosts_per_rack_ != to_host / hosts_per_rack_) {
    path.push_back(2 * hosts_ + from_host / hosts_per_rack_);
    path.push_back(2 * hosts_ + racks_ + to_host / hosts_per_rack_);
  }
  path.push_back(hosts_ + to_host);
  return path;
}

Links::Passage Links::Carry(int link, double head, double tail, double bytes) {
  Link& carrier = links_[static_cast<size_t>(link)];
  const double seconds = bytes / carrier.bytes_per_s;
  Passage passage{.begin = std::max(head, carrier.free)};
  passage.end = std::max(passage.begin + seconds, tail);
  // A message that trickles in leaves room for others: what it holds the link for is its own bytes.
  carrier.free = passage.begin + seconds;
  carrier.busy += seconds;
  return passage;
}

double Links::busiest() const { return std::ranges::max_element(links_, {}, &Link::busy)->busy; }

}  // namespace lockstep::launch
