#include "launch/errors.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <new>
#include <thread>

#include "base/log.h"
#include "launch/job/ranks.h"

namespace lockstep::launch {
namespace {

/// How long a rank leaves the ending of the job to the rank that says why.
constexpr auto kCulpritsTime = std::chrono::milliseconds(1500);
/// What it leaves the others to write their flight records, before it ends them.
constexpr auto kRecordsTime = std::chrono::milliseconds(300);
constexpr auto kDrainLimit = std::chrono::milliseconds(500);

/// Waits until mpirun has read from its pipe what this rank has said: the end of a job loses what is still in there.
void DrainStandardError() {
  const auto limit = std::chrono::steady_clock::now() + kDrainLimit;
  int unread = 0;
  while (ioctl(STDERR_FILENO, FIONREAD, &unread) == 0 && unread > 0 && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// The exit code of what is being thrown; prints it unless another rank does. That one ends the job, when it has said
/// why: a rank that ended at once could take the message with it.
int Report() {
  try {
    throw;
  } catch (const comm::PeerAborted& aborted) {
    std::this_thread::sleep_for(kCulpritsTime);
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
    StartLog("", comm->rank() == 0, comm->rank());  // what opening the data has to say, all ranks would say
    code = body(*comm);
    if (code == 0) return 0;
    // Where no rank has failed, and all are done, but the launcher is to return something else: as below, without
    // waiting.
    FlushLog();
    DrainStandardError();
    comm->Exit(code);
    return code;
  } catch (...) {
    code = Report();
  }
  FlushLog();
  // Others may wait for this rank: they are told, and the launcher learns the exit code.
  // Alone, too: mpirun takes two seconds to end after a rank that has failed without MPI_Abort.
  if (comm) {
    DrainStandardError();
    comm->Abort(code);
    if (comm->world_size() > 1) std::this_thread::sleep_for(kRecordsTime);
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
