// Parts of the program that lie in libraries of their own, since not every host has what they need: GPUs, MPI. The
// program works without them until they are wanted.
#pragma once

#include <string>

namespace lockstep::launch {

/// Which library, and how people speak of it.
struct ModuleFile {
  const char* file;      ///< "liblockstep_cuda.so"
  const char* variable;  ///< names another file in its place: "LOCKSTEP_CUDA_LIBRARY"; null: none does
  const char* entry;     ///< the name of its one function
  const char* what;      ///< "the GPU backend"
  const char* option;    ///< what to build with: "LOCKSTEP_CUDA=ON"; null: it is always built
  bool global;           ///< libraries that it loads see what it was linked with
};

/// Loads the library that is beside the program or in ../lib/lockstep. Result: its function, or null where there is
/// none, and `why` says what is missing. Call it once.
void* OpenModule(const ModuleFile& file, std::string& why);

}  // namespace lockstep::launch
