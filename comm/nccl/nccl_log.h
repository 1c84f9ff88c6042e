// What NCCL's log (NCCL_DEBUG=INFO) says of the ways that it has found: which network, and how ranks reach each other.
// The only place where it says so.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace lockstep::comm {

struct NcclWays {
  std::string network;          ///< "IB", "Socket", or a plugin's name; "" where none was used
  std::set<std::string> cards;  ///< of the network: "mlx5_0", "eth0"
  std::set<std::string> ways;   ///< "P2P/CUMEM", "SHM/direct", "NET/IB/0"

  /// "P2P/CUMEM; network IB (mlx5_0)".
  std::string ToString() const;
};

/// `text` of one rank's log. Lines that say nothing of this are passed over.
NcclWays ReadNcclLog(std::string_view text);

}  // namespace lockstep::comm
