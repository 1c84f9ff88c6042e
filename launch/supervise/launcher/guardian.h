// What ends a job whose supervisor was killed, by kill -9 too.
//
// The launcher itself is sent SIGTERM when its parent dies, and ends its ranks. But mpirun of Open MPI 4 that gets the
// signal in its first tenths of a second was seen to wait for ever for a lock of its own (in PMIx_server_finalize, one
// start in a hundred). A process beside it, which does nothing while the supervisor lives, sees to it that it ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

namespace lockstep::launch {

/// Made before the first start of a job. REQUIRES: this process has one thread.
class Guardian {
 public:
  /// When this process dies without destroying the Guardian, processes of the job on this host get `limit` to end by
  /// themselves, and then SIGKILL; what they leave is removed. Throws Error(kUsage) where no process can be made.
  Guardian(const std::string& job_id, std::chrono::milliseconds limit);
  /// Ends the process. The job's are left alone.
  ~Guardian();
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int alive_ = -1;  // this process's end of a pipe, closed when it dies
};

}  // namespace lockstep::launch
