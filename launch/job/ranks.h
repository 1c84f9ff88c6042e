// Starting as one of several ranks: which communicator, and what the launcher's environment says.
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "comm/communicator.h"

namespace lockstep::launch {

/// The communicator of this process: MPI's where mpirun started it, or srun with several tasks; else one rank by
/// itself, which needs no MPI: in a shell of `srun --pty bash`, and where MPI is installed but can't be started. Throws
/// Error(kUsage) where the launcher's environment says several tasks and MPI says one: they would all be rank 0.
/// `on_stuck_end` as in comm::MpiOptions.
std::unique_ptr<comm::Communicator> JoinRanks(std::function<void(const Error&)> on_stuck_end);

/// Whether the launcher's environment calls this process the first rank. MPI need not be there yet, and may number
/// ranks otherwise.
bool IsFirstProcess();

/// Whether progress can be redrawn: what a supervisor says, or standard error is a terminal, and so is mpirun's own
/// where mpirun started this rank (a rank's own always looks like one).
bool OnTerminal();

}  // namespace lockstep::launch
