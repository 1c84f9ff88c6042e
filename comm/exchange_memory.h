// The memory that the ranks of a host share for an exchange: gradient arenas of all executors, the weight arena, and
// flags.
//
// The host's first rank asks for weights and flags, each rank for the arenas of its own executors, so that pages lie
// near the rank that writes them. All arenas start at kBufferAlignment.
//
// Flags hold the number of the step (counted by the exchange, from 1) in which they were last raised, each in a cache
// line of its own. Raising is a release, looking an acquire: who sees a flag sees what was written before it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "comm/exchange_plan.h"

namespace lockstep::comm {

class ExchangeMemory {
 public:
  /// Collective over the host's ranks.
  ExchangeMemory(Communicator& comm, const ExchangePlan& plan);

  std::span<float> weights() const { return weights_; }
  /// The arena of plan.pieces(own host)[piece], of elements of plan.wire().
  std::byte* piece(size_t piece) const { return pieces_[piece]; }

  // `executor` counts over the host (ExchangePlan::first_executor).
  void RaiseReady(int executor, int bucket, int64_t step) { Flag(ReadyIndex(executor, bucket)).store(step, kRelease); }
  bool Ready(int executor, int bucket, int64_t step) const {
    return Flag(ReadyIndex(executor, bucket)).load(kAcquire) >= step;
  }
  /// A local rank has read all that it reads of the step's pieces, and its share of the weights is new.
  void RaiseFinished(int local_rank, int64_t step) { Flag(FinishedIndex(local_rank)).store(step, kRelease); }
  bool Finished(int local_rank, int64_t step) const { return Flag(FinishedIndex(local_rank)).load(kAcquire) >= step; }

 private:
  static constexpr std::memory_order kRelease = std::memory_order_release, kAcquire = std::memory_order_acquire;

  size_t ReadyIndex(int executor, int bucket) const {
    return static_cast<size_t>(bucket) * static_cast<size_t>(executors_) + static_cast<size_t>(executor);
  }
  size_t FinishedIndex(int local_rank) const { return ReadyIndex(0, buckets_) + static_cast<size_t>(local_rank); }
  std::atomic_ref<int64_t> Flag(size_t index) const;

  std::vector<std::unique_ptr<SharedMemory>> segments_;
  int executors_, buckets_;
  std::span<float> weights_;
  std::byte* flags_ = nullptr;
  std::vector<std::byte*> pieces_;
};

}  // namespace lockstep::comm
