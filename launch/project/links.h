// The links of a simulated network: who carries what, and until when.
#pragma once

#include <vector>

#include "comm/topology.h"
#include "launch/project/network.h"

namespace lockstep::launch {

class Links {
 public:
  Links(const comm::Topology& topology, const Network& network);

  /// The links from host to host, in order: out of the host, up from and down to racks where these differ, into the
  /// host.
  std::vector<int> Path(int from_host, int to_host) const;
  /// A message of `bytes` whose first byte reaches `link` at `head` and whose last one at `tail`, at the earliest.
  struct Passage {
    double begin = 0, end = 0;
  };
  Passage Carry(int link, double head, double tail, double bytes);
  /// Seconds of the busiest link.
  double busiest() const;

 private:
  struct Link {
    double bytes_per_s = 1;
    double free = 0, busy = 0;  ///< until when, and how long in all
  };

  int hosts_, racks_ = 0, hosts_per_rack_;
  std::vector<Link> links_;  ///< out of hosts, into hosts, up from racks, down to racks
};

}  // namespace lockstep::launch
