// Limits of this host that mpirun and its ranks meet before any of them could say so: with too few open files mpirun
// hangs, with too few processes it ends with words about networks.
#pragma once

#include <cstdint>
#include <string>

#include "launch/supervise/launcher/mpirun.h"

namespace lockstep::launch {

/// What mpirun holds open at least for `ranks` of this host.
int OpenFilesOfMpirun(const MpirunVersion& version, int ranks);
/// The processes and threads of mpirun and its `ranks` here, at least, until the ranks look after themselves.
int ProcessesOfMpirun(int ranks);

/// How many more processes and threads the control groups of this process allow. Files are read below `root`, which
/// tests set.
uint64_t RoomInControlGroups(const std::string& root = "");

/// Raises limits of this process, which its children get, to what mpirun needs for `ranks` of this host, as far as the
/// hard limits let it. Throws Error(kUsage) where they are too low.
void MakeRoomForRanks(const MpirunVersion& version, int ranks);

}  // namespace lockstep::launch
