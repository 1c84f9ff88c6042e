// What the hosts of a study can do at best, and the links between them, as its report shows them beside the steps'.
//
// As JSON, in a study's limits and in what `lockstep measure-limits` writes:
//   {"hosts": [{"name": "h1", "cores": 2, "matrix_gflops": 81.2, "copy_gb_s": 9.4}, ...],
//    "links": [{"from": "h1", "to": "h2", "gbit": 0.19, "latency_us": 61}, ...]}
#pragma once

#include <string>
#include <vector>

#include "base/json_fields.h"

namespace lockstep::launch {

struct HostLimit {
  std::string name = {};
  int cores = 0;             ///< of one rank: the others are measured on these
  double matrix_gflops = 0;  ///< of f32 matrix products (machine_limits.h)
  double copy_gb_s = 0;      ///< of copies of memory, bytes read and bytes written
};

/// One way of the link between two hosts; of `from` to itself, between two ranks of the host.
struct LinkLimit {
  std::string from = {}, to = {};
  double gbit = 0;        ///< 10^9 bits a second of large messages' bytes, one after the other
  double latency_us = 0;  ///< half of the median round trip of small messages
};

struct HostLimits {
  std::vector<HostLimit> hosts = {};
  std::vector<LinkLimit> links = {};

  bool empty() const { return hosts.empty() && links.empty(); }
  /// Null where it was not measured.
  const LinkLimit* Find(const std::string& from, const std::string& to) const;
  /// Those between different hosts.
  std::vector<LinkLimit> BetweenHosts() const;
};

Json HostLimitsJson(const HostLimits& limits);
/// What of the object can be read; hosts and links without a name or a rate are left out.
HostLimits ParseHostLimits(const Json& object);

}  // namespace lockstep::launch
