// The executors of a rank: threads prepared alike (base/threads.h), each of which runs its lanes one after the other.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

namespace lockstep::step {

class ExecutorPool {
 public:
  struct Options {
    int executors = 1;
    int lane_threads = 1;
    std::vector<std::vector<int>> pins;  ///< [executors], the cores of each one's team; empty: not pinned
    /// Told true when work starts, by the thread that starts it, and false when all have ended, by the last.
    std::function<void(bool computing)> on_computing = nullptr;
  };
  /// Throws Error(kMemory) where the system gives no more threads.
  explicit ExecutorPool(const Options& options);
  ~ExecutorPool();

  int size() const;
  /// Starts work(executor) on every executor. REQUIRES: the work before has been waited for.
  void Start(std::function<void(int executor)> work);
  /// Whether all have ended. Throws what the first of them threw, in executor order.
  bool Finished();
  /// Blocks until all have ended; throws as Finished does.
  void Wait();
  /// Blocks until none works, whatever they ended with.
  void AwaitIdle() noexcept;
  /// Start, then Wait.
  void Run(std::function<void(int executor)> work);
  /// The error of an executor that has failed while others still run; null where there is none.
  std::exception_ptr error();
  /// Splits [0, count) into one contiguous range per executor, in multiples of `grain`, and runs work(begin, end) on
  /// them; on the calling thread where the executors are busy or the range is small.
  void ParallelFor(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// However its scope is left, no executor works any more then: what stands before it may be referred to by their work.
class IdleBehind {
 public:
  explicit IdleBehind(ExecutorPool& pool) : pool_(pool) {}
  ~IdleBehind() { pool_.AwaitIdle(); }
  IdleBehind(const IdleBehind&) = delete;
  IdleBehind& operator=(const IdleBehind&) = delete;

 private:
  ExecutorPool& pool_;
};

}  // namespace lockstep::step
