// Keeps the OpenMP runtime from taking cores away. It reads its environment in a constructor, before main, and where
// that ties threads to cores (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY, KMP_AFFINITY; modules of many clusters set
// them) it binds the initial thread: its affinity mask, which the plan of cores goes by, then says one core. Limits
// on the size of teams (OMP_THREAD_LIMIT, OMP_MAX_ACTIVE_LEVELS) would decide bits besides.
//
// A program that links this file runs without those variables: they are taken out of its environment before any
// library's constructor runs (.preinit_array of the ELF gABI), so what a launcher bound the process to is still seen.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// The variables that were taken away, "OMP_PROC_BIND=true", in the order of the environment.
std::vector<std::string> IgnoredOpenMpVariables();

}  // namespace lockstep
