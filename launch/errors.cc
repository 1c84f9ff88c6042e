#include "launch/errors.h"

#include <cstdio>
#include <new>

#include "base/log.h"
#include "launch/ranks.h"

namespace lockstep::launch {
namespace {

/// The exit code of what is being thrown; prints it unless another rank did.
int Report() {
  try {
    throw;
  } catch (const comm::PeerAborted& aborted) {
    return aborted.exit_code();
  } catch (const Error& error) {
    PrintError(error);
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    PrintError(Error(ErrorKind::kUsage, "out of memory", "", "lockstep plan RECIPE says what a run needs"));
    return static_cast<int>(ErrorKind::kUsage);
  } catch (const std::exception& error) {
    PrintError(Error(ErrorKind::kInternal, error.what(), "", "this is a bug in Lockstep; please report it"));
    return static_cast<int>(ErrorKind::kInternal);
  }
}

}  // namespace

void PrintError(const Error& error) {
  std::fprintf(stderr, "lockstep: error: %s\n", error.what());
  std::fflush(stderr);
}

int RunRanks(const std::function<int(comm::Communicator&)>& body) {
  std::unique_ptr<comm::Communicator> comm;
  int code = 0;
  try {
    comm = JoinRanks();
    return body(*comm);
  } catch (...) {
    code = Report();
  }
  FlushLog();
  // Others may wait for this rank: they are told, and the launcher learns the exit code.
  if (comm && comm->world_size() > 1) {
    comm->Abort(code);
    comm->Exit(code);
  }
  return code;
}

int RunAlone(const std::function<int()>& body) {
  try {
    return body();
  } catch (...) {
    return Report();
  }
}

}  // namespace lockstep::launch
