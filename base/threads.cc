#include "base/threads.h"

#include <omp.h>
#include <pthread.h>
#ifdef __SSE__
#include <immintrin.h>
#endif

#include <system_error>
#include <utility>

#include "base/error.h"

namespace lockstep {
namespace {

void FlushDenormalsToZero() {
#ifdef __SSE__
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
#endif
}

}  // namespace

std::thread StartThread(const std::string& name, std::function<void()> body) {
  try {
    return std::thread([name, body = std::move(body)] {
      constexpr size_t kLongestName = 15;  // the kernel's
      pthread_setname_np(pthread_self(), name.substr(0, kLongestName).c_str());
      body();
    });
  } catch (const std::system_error& error) {
    throw Error(ErrorKind::kMemory, fmt::format("can't start the thread \"{}\": {}", name, error.code().message()), "",
                "raise the limit of processes (ulimit -u, or the container's or job's pids.max), or of memory, or use "
                "fewer ranks and executors on this host");
  }
}

void PrepareComputeThread(int team_size, const std::string& name) {
  CHECK(team_size >= 1, "a team of {} threads", team_size);
  if (!name.empty()) pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());  // the kernel keeps 15 characters
  FlushDenormalsToZero();
  omp_set_dynamic(0);
  omp_set_num_threads(team_size);
  if (team_size == 1) return;
    // The team's threads are kept for later regions; those that an earlier region made have their own control word.
#pragma omp parallel num_threads(team_size)
  FlushDenormalsToZero();
}

}  // namespace lockstep
