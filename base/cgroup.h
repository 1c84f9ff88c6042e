// What the control groups of this process allow it, in version 1 and 2 of cgroups, mixed as well.
#pragma once

#include <cstddef>
#include <string>

namespace lockstep {

struct CgroupLimits {
  int cores = 0;      ///< cpu quota in cores, rounded up; 0 where there is none
  size_t memory = 0;  ///< bytes; 0 where there is none
};

/// The tightest limits of this process's own groups and all groups above them. Files are read below `root`, which tests
/// set.
CgroupLimits ReadCgroupLimits(const std::string& root = "");

}  // namespace lockstep
