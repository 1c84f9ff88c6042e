// What the control groups of this process allow it, in version 1 and 2 of cgroups, mixed as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace lockstep {

struct CgroupLimits {
  int cores = 0;             ///< cpu quota in cores, rounded up; 0 where there is none
  uint64_t cores_group = 0;  ///< inode of the group that has this quota, by which this machine's groups differ
  size_t memory = 0;         ///< bytes; 0 where there is none
};

/// The tightest limits of this process's own groups and all groups above them. Files are read below `root`, which tests
/// set.
CgroupLimits ReadCgroupLimits(const std::string& root = "");

/// How many processes the kernel has killed for want of memory in this process's group (version 2: and in those below
/// it); on the whole machine, where groups don't count them. Only differences mean something.
uint64_t ReadOomKills(const std::string& root = "");

}  // namespace lockstep
