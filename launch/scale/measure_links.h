// Measures hosts and the links between them, on ranks that run there, through the transport that training uses.
#pragma once

#include "comm/communicator.h"
#include "launch/scale/host_limits.h"

namespace lockstep::launch {

struct LinkRequest {
  /// Of each way of each link, where they are few; many share about a minute, and each has at least 20 ms.
  double seconds = 0.4;
  int least_messages = 4;  ///< of 1 MiB, however long they take
};

/// A collective of all ranks, which all get the result. The first ranks of two hosts, and the first two of a host,
/// exchange messages, pair after pair, while all others wait: a round trip of 8 bytes, and streams of messages of
/// 1 MiB, four under way, until the last is acknowledged. Throws as waits do (comm/waiter.h).
std::vector<LinkLimit> MeasureLinks(comm::Communicator& comm, const LinkRequest& request);

/// The same of the hosts: the first rank of each measures matrix products and copies for `seconds` each on `cores`
/// threads; 0: on its share of what the ranks of its host may use.
std::vector<HostLimit> MeasureHosts(comm::Communicator& comm, int cores, double seconds);

}  // namespace lockstep::launch
