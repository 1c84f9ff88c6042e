// Prints how many cores it may use, how large a team of four is, and of its environment what was ignored and what tests
// look for.
#include <omp.h>

#include <cstdio>
#include <cstdlib>

#include "base/machine/cores.h"
#include "base/machine/openmp_environment.h"

int main() {
  const std::vector<int> allowed = lockstep::QueryCores().allowed;
  int team = 0;
#pragma omp parallel num_threads(4) reduction(+ : team)
  team += 1;
  std::printf("%zu cores allowed, a team of %d\n", allowed.size(), team);
  for (const std::string& variable : lockstep::IgnoredOpenMpVariables()) std::printf("%s\n", variable.c_str());
  for (const char* name : {"KEPT", "OMP_PLACE", "OMP_PLACES", "OMP_PROC_BIND"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && std::getenv("OMP_PLACE") != nullptr) std::printf("%s=%s\n", name, value);
  }
  return 0;
}
