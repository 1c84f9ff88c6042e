#include "comm/waiter.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/error.h"

namespace lockstep::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

/// Waits shorter than this leave no trace: in a step there are many.
constexpr std::chrono::milliseconds kLongWait(10);
/// How often a wait past its deadline asks whether to go on.
constexpr std::chrono::milliseconds kAskEvery(20);

void SpinPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// One turn of a wait that has lasted `elapsed`: spin, then yield, then sleep for a fraction of the time waited so far,
// so that sleeping too long costs little in relation. A yielding thread still gets its share of a core from the
// scheduler, so where cores are few it soon sleeps.
void GiveWay(Clock::duration elapsed, bool crowded) {
  const microseconds spin(crowded ? 2 : 50), yield(crowded ? 30 : 500), cap(100);
  if (elapsed < spin) {
    SpinPause();
  } else if (elapsed < yield) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(
        std::clamp(std::chrono::duration_cast<microseconds>(elapsed / 8), microseconds(5), cap));
  }
}

}  // namespace

/// A wait that others can see once it has become long, for as long as it lasts.
class Waiter::NotedWait {
 public:
  NotedWait(Waiter& waiter, const std::string& what, Clock::time_point since)
      : waiter_(waiter), what_(what), since_(since) {}
  ~NotedWait() {
    if (!noted_) return;
    waiter_.waiting_since_ns_.store(0, std::memory_order_relaxed);
    waiter_.recorder_.SetWaiting({}, {});
  }
  void At(Clock::time_point now) {
    if (noted_ || now - since_ <= kLongWait) return;
    waiter_.waiting_since_ns_.store(since_.time_since_epoch().count(), std::memory_order_relaxed);
    waiter_.recorder_.SetWaiting(what_, since_);
    noted_ = true;
  }

 private:
  Waiter& waiter_;
  const std::string& what_;
  const Clock::time_point since_;
  bool noted_ = false;
};

Waiter::Waiter(Transport& transport)
    : transport_(transport),
      recorder_(transport.topology().rank, transport.topology().world_size, transport.topology().host_name()) {}

void Waiter::SetComputing(bool computing) {
  {
    MutexLock lock(computing_mutex_);
    computing_ = computing;
  }
  if (!computing) computing_ended_.NotifyOne();
}

void Waiter::SetStalled(std::function<bool(const std::string& what)> stalled) {
  CHECK(!stalled || !stalled_, "a second watchdog of rank {}", recorder_.rank());
  stalled_ = std::move(stalled);
}

bool Waiter::SleepWhileComputing() {
  // Each look costs the computing thread of a shared core some 10 us.
  constexpr std::chrono::milliseconds kLookEvery(1);
  MutexLock lock(computing_mutex_);
  if (!computing_) return false;
  const Clock::time_point end = Clock::now() + kLookEvery;
  while (computing_ && computing_ended_.WaitUntil(computing_mutex_, end)) continue;
  return true;
}

void Waiter::AskStalled(const std::string& what, Clock::duration waited) const {
  if (stalled_ && stalled_(what)) return;
  throw Error(ErrorKind::kPeer,
              fmt::format("waited {:.3g} s for {}", std::chrono::duration<double>(waited).count(), what),
              transport_.topology().Name(), "another rank is stuck or gone: see the logs of the others");
}

void Waiter::Poll() {
  last_look_ns_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  transport_.Poll();
}

void Waiter::WaitUntil(const std::function<bool()>& done, const std::string& what) {
  const Clock::time_point start = Clock::now();
  NotedWait noted(*this, what, start);
  Clock::time_point idle_since = start, asked;
  for (;;) {
    Poll();
    for (const Interrupt* interrupt : interrupts_) interrupt->poll_();
    if (done()) break;
    const Clock::time_point now = Clock::now();
    noted.At(now);
    if (now - start > deadline() && now - asked > kAskEvery) {
      asked = now;
      AskStalled(what, now - start);
    }
    if (SleepWhileComputing())
      idle_since = Clock::now();
    else
      GiveWay(now - idle_since, crowded_);
  }
  recorder_.Progress();
}

Interrupt::Interrupt(Waiter& waiter, std::function<void()> poll) : waiter_(waiter), poll_(std::move(poll)) {
  waiter_.interrupts_.push_back(this);
}

Interrupt::~Interrupt() { std::erase(waiter_.interrupts_, this); }

}  // namespace lockstep::comm
