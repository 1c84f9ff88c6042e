// Where errors end: the only place that prints them and turns them into exit codes.
#pragma once

#include <functional>

#include "base/error.h"
#include "comm/communicator.h"

namespace lockstep::launch {

/// "lockstep: recipe.textproto:3:5: what was wrong (what to do)" on standard error.
void PrintError(const Error& error);

/// Joins the ranks and runs `body` on them. An Error on any rank is printed once and ends all ranks with its exit code.
/// A code that is not 0 is returned by all ranks, when none needs another one any more.
int RunRanks(const std::function<int(comm::Communicator&)>& body);

/// Runs `body`, a command without ranks; prints what it throws. Returns the exit code.
int RunAlone(const std::function<int()>& body);

}  // namespace lockstep::launch
