#include "base/machine/host.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/machine/cgroup.h"

namespace lockstep {

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  const std::string full = name;
  return full.substr(0, full.find('.'));
}

size_t MemoryLimit() {
  const size_t physical = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t group = ReadCgroupLimits().memory;
  return group == 0 ? physical : std::min(physical, group);
}

size_t ResidentMemory() {
  size_t all = 0, resident = 0;  // in pages; proc(5), statm
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace lockstep
