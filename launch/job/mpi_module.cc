#include "launch/job/mpi_module.h"

#include "base/build_info.h"

namespace lockstep::launch {

extern "C" const MpiModule& LockstepMpiModule() {
  static const MpiModule module = {std::string(BuildHash()), comm::MpiDescription(), comm::StartMpi};
  return module;
}

}  // namespace lockstep::launch
