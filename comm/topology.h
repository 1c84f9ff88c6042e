// Where the ranks of a job are: which host, and who shares it. A plain value, the same on every rank but for `rank`.
#pragma once

#include <string>
#include <vector>

namespace lockstep::comm {

/// Ranks are numbered by (host, local rank): a host's ranks are contiguous, however the launcher numbered them.
struct Topology {
  int rank = 0;
  int world_size = 1;
  std::vector<int> host_of;               ///< [world_size], hosts numbered in rank order
  std::vector<std::vector<int>> hosts;    ///< ranks of each host, ascending
  std::vector<std::string> host_name_of;  ///< [world_size], host names

  int host() const { return host_of[static_cast<size_t>(rank)]; }
  int local_rank() const { return LocalRank(rank); }
  int local_size() const { return static_cast<int>(hosts[static_cast<size_t>(host())].size()); }
  /// The place of `of_rank` among the ranks of its host.
  int LocalRank(int of_rank) const {
    return of_rank - hosts[static_cast<size_t>(host_of[static_cast<size_t>(of_rank)])].front();
  }
  const std::string& host_name() const { return host_name_of[static_cast<size_t>(rank)]; }
  /// "rank 2 on h1": how messages name a rank.
  std::string Name(int of_rank) const {
    return "rank " + std::to_string(of_rank) + " on " + host_name_of[static_cast<size_t>(of_rank)];
  }
  /// This rank's own.
  std::string Name() const { return Name(rank); }
};

}  // namespace lockstep::comm
