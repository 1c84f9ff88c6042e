#include "launch/commands/errors.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/log.h"
#include "base/terminal.h"
#include "launch/commands/standard_streams.h"
#include "launch/job/ranks.h"
#include "launch/supervise/launcher/rank_environment.h"

namespace lockstep::launch {
namespace {

/// How long a rank waits for the one that says why the job ends, and that ends it.
constexpr auto kCulpritsTime = std::chrono::milliseconds(1500);
/// How long the rank that ends the job gives the others to write their flight records.
constexpr auto kRecordsTime = std::chrono::milliseconds(300);
constexpr auto kDrainLimit = std::chrono::milliseconds(500);

/// Waits until mpirun has read from its pipe what this rank has said: the end of a job loses what is still in there.
void DrainStandardError() {
  const auto limit = std::chrono::steady_clock::now() + kDrainLimit;
  int unread = 0;
  while (ioctl(STDERR_FILENO, FIONREAD, &unread) == 0 && unread > 0 && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Prints what is being thrown, unless another rank does that, and returns its exit code. The rank that prints it then
/// ends the job: if this one ended at once, the message could be lost with the job.
int Report() {
  try {
    throw;
  } catch (const comm::PeerAborted& aborted) {
    std::this_thread::sleep_for(kCulpritsTime);
    return aborted.exit_code();
  } catch (...) {
    const Error error = CurrentError();
    PrintError(error);
    return error.exit_code();
  }
}

/// Whoever supervises the job waits for this word, as long as a launcher may take.
void TellSupervisor() {
  if (std::getenv(kJobVariable) != nullptr) PrintLine(std::string(kJoinedLine));
}

}  // namespace

void PrintError(const Error& error) { PrintLine(fmt::format("lockstep: error: {}", error.what())); }

int RunRanks(const std::function<int(comm::Communicator&)>& body) {
  OutliveReaders();
  std::unique_ptr<comm::Communicator> comm;
  int code = 0;
  try {
    comm = JoinRanks([](const Error& error) {
      PrintError(error);
      DrainStandardError();
      _exit(error.exit_code());
    });
    if (comm->rank() == 0) TellSupervisor();
    StartLog("", comm->rank() == 0, comm->rank());  // what opening the data has to say, all ranks would say
    code = body(*comm);
    if (code == 0) return 0;
    // No rank has failed and none needs another one any more, but the launcher is to return this code: it learns it as
    // it does below, and nobody has to be waited for.
    FlushLog();
    DrainStandardError();
    comm->Exit(code);
    return code;
  } catch (...) {
    code = Report();
  }
  FlushLog();
  // Others may be waiting for this rank: Abort tells them, and the launcher learns the exit code. A rank that is alone
  // does the same, since mpirun takes two seconds to end after a rank that has failed without MPI_Abort.
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
    const int code = body();
    FlushStandardOutput();
    return code;
  } catch (...) {
    return Report();
  }
}

}  // namespace lockstep::launch
