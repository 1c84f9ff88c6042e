// What the library with MPI offers the program that loads it (mpi.h). Both are of one build, which is checked, so plain
// C++ passes between them.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/mpi/mpi_communicator.h"

namespace lockstep::launch {

struct MpiModule {
  /// Of the build that the library is from.
  std::string build_hash;
  /// comm::MpiDescription().
  std::string description;
  /// comm::StartMpi.
  std::unique_ptr<comm::Communicator> (*start)(const comm::MpiOptions& options) = nullptr;
};

/// The name and type of the library's one function.
inline constexpr char kMpiModuleEntry[] = "LockstepMpiModule";
using MpiModuleEntry = const MpiModule& (*)();

}  // namespace lockstep::launch
