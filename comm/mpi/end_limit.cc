#include "comm/mpi/end_limit.h"

#include <utility>

#include "base/error.h"
#include "base/threads.h"

namespace lockstep::comm {

EndLimit::EndLimit(std::chrono::milliseconds limit, std::function<void()> overdue) {
  const auto end = std::chrono::steady_clock::now() + limit;
  try {
    thread_ = StartThread("end", [this, end, overdue = std::move(overdue)] {
      {
        MutexLock lock(mutex_);
        while (!ended_ && changed_.WaitUntil(mutex_, end)) continue;
        if (ended_) return;
      }
      overdue();
    });
  } catch (const Error&) {  // no room for a thread: then without a limit
  }
}

EndLimit::~EndLimit() {
  {
    MutexLock lock(mutex_);
    ended_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace lockstep::comm
