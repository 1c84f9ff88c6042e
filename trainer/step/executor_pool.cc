#include "trainer/step/executor_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/threads.h"

namespace lockstep::step {

struct ExecutorPool::State {
  std::function<void(bool)> on_computing;
  std::mutex mutex;
  std::condition_variable work_ready, all_done;
  std::function<void(int)> work;  // guarded by mutex, as are the next four
  uint64_t round = 0;
  int running = 0;
  bool stop = false;
  std::vector<std::exception_ptr> errors;
  std::vector<std::thread> threads;

  void Loop(int executor) {
    uint64_t done = 0;
    while (true) {
      std::function<void(int)> mine;
      {
        std::unique_lock lock(mutex);
        work_ready.wait(lock, [&] { return stop || round != done; });
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
      std::lock_guard lock(mutex);
      errors[static_cast<size_t>(executor)] =
          std::move(error);  // who waits owns it alone: no thread frees it while it is read
      if (--running > 0) continue;
      if (on_computing) on_computing(false);
      all_done.notify_all();
    }
  }

  std::exception_ptr FirstError() {
    for (const std::exception_ptr& error : errors)
      if (error) return error;
    return nullptr;
  }
};

ExecutorPool::ExecutorPool(const Options& options) : state_(std::make_unique<State>()) {
  CHECK(options.executors >= 1);
  state_->on_computing = options.on_computing;
  state_->errors.resize(static_cast<size_t>(options.executors));
  for (int e = 0; e < options.executors; ++e) {
    const int core = options.pin_to.empty() ? -1 : options.pin_to[static_cast<size_t>(e) % options.pin_to.size()];
    state_->threads.emplace_back([state = state_.get(), e, core, team = options.lane_threads] {
      PrepareComputeThread(team, fmt::format("executor-{}", e));
      if (core >= 0) PinThread(core);
      state->Loop(e);
    });
  }
}

ExecutorPool::~ExecutorPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work_ready.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

int ExecutorPool::size() const { return static_cast<int>(state_->threads.size()); }

void ExecutorPool::Start(std::function<void(int)> work) {
  {
    std::lock_guard lock(state_->mutex);
    CHECK(state_->running == 0, "executors are busy");
    state_->work = std::move(work);
    state_->running = static_cast<int>(state_->threads.size());
    std::fill(state_->errors.begin(), state_->errors.end(), nullptr);
    ++state_->round;
    if (state_->on_computing) state_->on_computing(true);
  }
  state_->work_ready.notify_all();
}

bool ExecutorPool::Finished() {
  std::lock_guard lock(state_->mutex);
  if (state_->running > 0) return false;
  if (std::exception_ptr error = state_->FirstError()) std::rethrow_exception(error);
  return true;
}

void ExecutorPool::Wait() {
  std::unique_lock lock(state_->mutex);
  state_->all_done.wait(lock, [&] { return state_->running == 0; });
  if (std::exception_ptr error = state_->FirstError()) std::rethrow_exception(error);
}

void ExecutorPool::AwaitIdle() noexcept {
  std::unique_lock lock(state_->mutex);
  state_->all_done.wait(lock, [&] { return state_->running == 0; });
}

void ExecutorPool::Run(std::function<void(int)> work) {
  Start(std::move(work));
  Wait();
}

std::exception_ptr ExecutorPool::error() {
  std::lock_guard lock(state_->mutex);
  return state_->FirstError();
}

void ExecutorPool::ParallelFor(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work) {
  bool busy;
  {
    std::lock_guard lock(state_->mutex);
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
