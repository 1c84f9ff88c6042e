// Which rank has which device, and what that means for how gradients travel. Pure functions.
#pragma once

#include <string>
#include <vector>

namespace lockstep::plan {

/// What a rank says of its device.
struct RankDevice {
  int rank = 0;
  std::string host;
  std::string name, uuid;
  int ordinal = 0;  ///< among those that the rank sees
  int visible = 0;  ///< how many the rank sees
};

/// Whether two ranks have the same device: then they can't reach each other by NCCL.
bool SharesDevices(const std::vector<RankDevice>& ranks);

/// "h1: 4 ranks on NVIDIA H100 80GB HBM3 x 4": a line per host, in rank order.
std::vector<std::string> DescribeDevices(const std::vector<RankDevice>& ranks);

/// What people should know and change: ranks that share a device, devices that no rank uses, peers that a job's cgroup
/// hides.
std::vector<std::string> WarningsOfDevices(const std::vector<RankDevice>& ranks);

}  // namespace lockstep::plan
