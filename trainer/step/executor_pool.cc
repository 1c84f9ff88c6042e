#include "trainer/step/executor_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/machine/cores.h"
#include "base/mutex.h"
#include "base/threads.h"

namespace lockstep::step {

struct ExecutorPool::State {
  std::function<void(bool)> on_computing;
  Mutex mutex;
  CondVar work_ready, all_done;
  std::function<void(int)> work GUARDED_BY(mutex);
  uint64_t round GUARDED_BY(mutex) = 0;
  int running GUARDED_BY(mutex) = 0;
  bool stop GUARDED_BY(mutex) = false;
  std::vector<std::exception_ptr> errors GUARDED_BY(mutex);
  std::vector<std::thread> threads;

  /// Here and not in the pool's destructor: a pool of which only some threads could be started ends them too.
  ~State() {
    {
      MutexLock lock(mutex);
      stop = true;
    }
    work_ready.NotifyAll();
    for (std::thread& thread : threads) thread.join();
  }

  void Loop(int executor) {
    uint64_t done = 0;
    while (true) {
      std::function<void(int)> mine;
      {
        MutexLock lock(mutex);
        while (!stop && round == done) work_ready.Wait(mutex);
        if (stop) return;
        done = round;
        mine = work;
      }
      std::exception_ptr error;
      try {
        mine(executor);
      } catch (...) {
        error = std::current_exception();
      }
      MutexLock lock(mutex);
      errors[static_cast<size_t>(executor)] =
          std::move(error);  // who waits owns it alone: no thread frees it while it is read
      if (--running > 0) continue;
      if (on_computing) on_computing(false);
      all_done.NotifyAll();
    }
  }

  std::exception_ptr FirstError() REQUIRES(mutex) {
    for (const std::exception_ptr& error : errors)
      if (error) return error;
    return nullptr;
  }
};

ExecutorPool::ExecutorPool(const Options& options) : state_(std::make_unique<State>()) {
  CHECK(options.executors >= 1);
  CHECK(options.pins.empty() || options.pins.size() == static_cast<size_t>(options.executors));
  state_->on_computing = options.on_computing;
  {
    const MutexLock lock(state_->mutex);
    state_->errors.resize(static_cast<size_t>(options.executors));
  }
  for (int e = 0; e < options.executors; ++e) {
    const std::vector<int> pin = options.pins.empty() ? std::vector<int>() : options.pins[static_cast<size_t>(e)];
    const std::string name = fmt::format("executor-{}", e);
    state_->threads.push_back(StartThread(name, [state = state_.get(), e, pin, team = options.lane_threads, name] {
      PinThread(pin);  // first: the team's threads, which PrepareComputeThread starts, inherit it
      PrepareComputeThread(team, name);
      state->Loop(e);
    }));
  }
}

ExecutorPool::~ExecutorPool() = default;

int ExecutorPool::size() const { return static_cast<int>(state_->threads.size()); }

void ExecutorPool::Start(std::function<void(int)> work) {
  {
    MutexLock lock(state_->mutex);
    CHECK(state_->running == 0, "executors are busy");
    state_->work = std::move(work);
    state_->running = static_cast<int>(state_->threads.size());
    std::fill(state_->errors.begin(), state_->errors.end(), nullptr);
    ++state_->round;
    if (state_->on_computing) state_->on_computing(true);
  }
  state_->work_ready.NotifyAll();
}

bool ExecutorPool::Finished() {
  MutexLock lock(state_->mutex);
  if (state_->running > 0) return false;
  if (std::exception_ptr error = state_->FirstError()) std::rethrow_exception(error);
  return true;
}

void ExecutorPool::Wait() {
  MutexLock lock(state_->mutex);
  while (state_->running != 0) state_->all_done.Wait(state_->mutex);
  if (std::exception_ptr error = state_->FirstError()) std::rethrow_exception(error);
}

void ExecutorPool::AwaitIdle() noexcept {
  MutexLock lock(state_->mutex);
  while (state_->running != 0) state_->all_done.Wait(state_->mutex);
}

void ExecutorPool::Run(std::function<void(int)> work) {
  Start(std::move(work));
  Wait();
}

std::exception_ptr ExecutorPool::error() {
  MutexLock lock(state_->mutex);
  return state_->FirstError();
}

void ExecutorPool::ParallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work) {
  bool busy;
  {
    MutexLock lock(state_->mutex);
    busy = state_->running > 0;
  }
  if (busy || size() < 2 || count < 4 * grain) return work(0, count);
  const int64_t grains = (count + grain - 1) / grain;
  const int64_t parts = size();
  Run([&](int e) {
    const int64_t begin = std::min(count, grains * e / parts * grain);
    const int64_t end = std::min(count, grains * (e + 1) / parts * grain);
    if (begin < end) work(begin, end);
  });
}

}  // namespace lockstep::step
