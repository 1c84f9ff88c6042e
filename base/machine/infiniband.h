// InfiniBand and RoCE cards of this machine, as Linux shows them.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

struct InfinibandPort {
  std::string card;  ///< "mlx5_0"
  int port = 1;
  std::string state;  ///< "ACTIVE", "DOWN"
  std::string rate;   ///< "400 Gb/sec (4X NDR)"
};

/// By card and port; empty where there are none.
std::vector<InfinibandPort> InfinibandPorts(const std::string& folder = "/sys/class/infiniband");

}  // namespace lockstep
