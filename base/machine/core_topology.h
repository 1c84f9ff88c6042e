// Where the cores of this machine lie: which are hardware threads of one physical core, and which are near the same
// memory.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// A core as Linux counts them: a hardware thread.
struct Core {
  int number = 0;
  int physical = 0;  ///< the least number among the hardware threads of the same physical core
  int numa = 0;      ///< NUMA node

  bool operator==(const Core&) const = default;
};

/// The cores of these numbers, in their order. Where Linux does not say, a core is a physical one of its own on NUMA
/// node 0. Files are read below `root`, which tests set.
std::vector<Core> DescribeCores(std::span<const int> numbers, const std::string& root = "");

/// Numbers in Linux's list format, "0-3,8,10-11"; empty where the text is none.
std::vector<int> ParseCoreList(const std::string& text);
/// The other way round; `numbers` ascend.
std::string FormatCoreList(std::span<const int> numbers);

}  // namespace lockstep
