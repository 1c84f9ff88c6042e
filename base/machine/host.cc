#include "base/machine/host.h"

#include <unistd.h>

#include <algorithm>

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

}  // namespace lockstep
