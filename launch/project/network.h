// A network and its hosts as a projection assumes them, in a few numbers, and who sits where in it.
//
// Hosts hang on a switch by one full-duplex link each, which the host's ranks share. Hosts may stand in racks, whose
// uplinks are then shared too. A link carries messages one after the other, in the order in which they reach it, save
// the words that announce a long one and answer, which wait for nobody; a message goes on to the next link as it comes
// in (cut-through). What a rank does for a message itself is the overhead of LogGP (Alexandrov et al. 1995), what the
// way takes its latency.
#pragma once

#include <string>
#include <vector>

#include "comm/exchange_plan.h"
#include "comm/topology.h"

namespace lockstep::launch {

struct Network {
  int ranks_per_host = 8;
  double gbit = 100;       ///< of a host's link, each way, in 10^9 bits a second
  double latency_us = 5;   ///< from host to host
  double message_us = 1;   ///< of a rank's thread, for each message that it sends or receives
  double eager_kb = 64;    ///< longer messages are announced, and leave when their receiver has answered
  double memory_gb_s = 0;  ///< of a host's memory, bytes read and written, shared by its ranks; 0: as measured
  int hosts_per_rack = 0;  ///< 0: all hang on one switch
  double uplink_gbit = 0;  ///< of a rack, each way; 0: as much as its hosts' links together
  double straggle = -1;    ///< deviation of a rank's lanes from step to step, as a share; < 0: as measured
};

/// Of "ranks_per_host=8,gbit=100", or of a file with a KEY=VALUE a line, where # begins a comment; what is not given
/// stays as in `defaults`. Throws Error(kUsage) naming the word.
Network ParseNetwork(const std::string& text, const Network& defaults = {});
/// "links of 100 Gbit/s each way": how a note calls them.
std::string DescribeLinks(const Network& network);
/// "5 us from host to host".
std::string DescribeLatency(const Network& network);
/// The others: "1 us a message, 16 hosts a rack with ...".
std::string DescribeRest(const Network& network);

/// `ranks` in hosts of ranks_per_host; the last one may have fewer.
comm::Topology TopologyOf(int ranks, const Network& network);
/// Lanes dealt as a run deals them, to one executor a rank. REQUIRES: ranks <= lanes.
comm::LanePlan LanesOf(int lanes, int ranks);

}  // namespace lockstep::launch
