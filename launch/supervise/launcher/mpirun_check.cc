#include "launch/supervise/launcher/mpirun_check.h"

#include <fmt/format.h>

namespace lockstep::launch {

std::string NameOf(const MpirunVersion& version) {
  if (version.kind == MpirunVersion::kOpenMpi) return fmt::format("Open MPI {}.{}", version.major, version.minor);
  return version.kind == MpirunVersion::kHydra ? "Hydra" : "of an unknown kind";
}

std::string MismatchOf(const MpirunVersion& version, const std::string& library) {
  if (version.kind == MpirunVersion::kUnknown) return "";
  const bool open_mpi = library.starts_with("Open MPI ");
  if (open_mpi != (version.kind == MpirunVersion::kOpenMpi))
    return fmt::format("its ranks would each be alone: put the mpirun of {} first on the PATH", library);
  if (open_mpi && !library.starts_with(fmt::format("Open MPI {}.", version.major)))
    return fmt::format("its ranks may not find each other: put the mpirun of {} first on the PATH", library);
  return "";
}

}  // namespace lockstep::launch
