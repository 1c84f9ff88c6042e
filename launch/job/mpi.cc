#include "launch/job/mpi.h"

#include "base/build_info.h"
#include "base/error.h"
#include "base/machine/host.h"
#include "launch/job/module_file.h"

namespace lockstep::launch {
namespace {

/// Open MPI's plugins look for its libraries' symbols among the global ones.
constexpr ModuleFile kFile = {.file = "liblockstep_mpi.so",
                              .variable = nullptr,
                              .entry = kMpiModuleEntry,
                              .what = "MPI",
                              .option = nullptr,
                              .global = true};

MpiView Look() {
  MpiView view;
  const auto entry = reinterpret_cast<MpiModuleEntry>(OpenModule(kFile, view.why_none));
  if (entry == nullptr) return view;
  if (entry().build_hash == BuildHash()) {
    view.module = &entry();
  } else {
    view.why_none = "the library with MPI is of another build than this program: install both together";
  }
  return view;
}

}  // namespace

const MpiView& ViewMpi() {
  static const MpiView view = Look();
  return view;
}

const MpiModule& RequireMpi() {
  const MpiView& view = ViewMpi();
  if (view.module != nullptr) return *view.module;
  throw Error(ErrorKind::kUsage, fmt::format("ranks can't be joined: {}", view.why_none), HostName(),
              "install the MPI that lockstep was built with on every host (Debian: openmpi-bin), or load its module; "
              "one rank, started without a launcher, needs none");
}

}  // namespace lockstep::launch
