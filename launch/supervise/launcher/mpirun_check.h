// Whether the mpirun at hand is one whose ranks this program can join.
#pragma once

#include <string>

#include "launch/supervise/launcher/mpirun.h"

namespace lockstep::launch {

/// "Open MPI 4.1", "Hydra" (MPICH's and Intel's), "of an unknown kind".
std::string NameOf(const MpirunVersion& version);

/// What is wrong with an mpirun for a program that is linked to `library` ("Open MPI 4.1.4", "MPICH 5.0.2"); empty
/// where nothing is. Each MPI has a way of its own in which ranks find each other: with another one's mpirun each is
/// alone.
std::string MismatchOf(const MpirunVersion& version, const std::string& library);

}  // namespace lockstep::launch
