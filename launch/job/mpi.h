// MPI, in a library that is loaded when ranks are to be joined: one rank trains on hosts that have no MPI.
#pragma once

#include <string>

#include "launch/job/mpi_module.h"

namespace lockstep::launch {

struct MpiView {
  const MpiModule* module = nullptr;  ///< null: there is none
  std::string why_none;               ///< what is missing
};

/// Looks once per process; the first call loads the library beside the program or in ../lib/lockstep. Never throws.
const MpiView& ViewMpi();

/// Throws Error(kUsage) where there is none.
const MpiModule& RequireMpi();

}  // namespace lockstep::launch
