// The exchange: lane partial sums go to slice owners, owners add them in lane-tree order, and what they make of the sum
// (new weights) goes back to everyone.
//
// Memory. Each executor of a rank folds its lanes into *pieces* (partial sums of maximal lane-tree nodes), one gradient
// arena each, of floats or bf16 (ExchangeOptions::wire), in memory that the ranks of the host share. The new weights
// lie in one arena per host. Owners read the pieces of their own host in place. Between hosts, a relay (exchange_plan.h
// says who) folds its host's pieces of the owner's slice, and sends those sums; on the way back it receives the owner's
// new weights into its host's arena.
//
// One step, on the communicating thread:
//
//   Begin(step)                executors compute, and call PieceReady(executor, bucket) as buckets fill
//   Reduce(on_slice)           for each bucket, in order: waits, sums, calls on_slice(owned range, sum's pieces)
//   Share()                    publishes the owned slices of the weight arena; returns when every slice of it is new
//
// `Reduce` may share each bucket as soon as on_slice returns (`share_at_once`): the fused update. With clipping, or
// when a step may be skipped, on_slice only keeps the sum, and Share follows after the global norm is known. Share ends
// every step, also one that is skipped: only then may pieces be written again.
//
// Sums are arithmetic: the communicating thread, and every thread that evaluates a SliceSum, has called
// PrepareComputeThread.
#pragma once

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/lane_tree.h"
#include "base/memory.h"
#include "comm/communicator.h"
#include "comm/exchange_memory.h"
#include "comm/exchange_plan.h"
#include "comm/slice_map.h"
#include "comm/slice_sum.h"

namespace lockstep::comm {

class Exchange {
 public:
  /// Collective. Allocates the host's shared memory. `comm` outlives the exchange.
  Exchange(Communicator& comm, ExchangeOptions options);
  /// Where messages are still under way, because an error has ended a step, their memory outlives the exchange.
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const SliceMap& slices() const { return plan_.slices(); }
  DType wire() const { return plan_.wire(); }
  /// The gradient arenas, of wire() elements, that executor `executor` of this rank folds into, one per maximal node of
  /// its lanes, in lane order.
  std::span<std::byte* const> pieces(int executor) const { return pieces_.at(static_cast<size_t>(executor)); }
  std::span<const LaneRange> piece_nodes(int executor) const { return nodes_.at(static_cast<size_t>(executor)); }
  /// The weight arena of this host. A slice is written by its owner only: inside on_slice, between Reduce and Share, or
  /// before ShareNow (while no executor of the host reads it).
  std::span<float> weights() const { return memory_.weights(); }

  void Begin(int64_t step);
  /// Called by executor threads: bucket `bucket` of all pieces of `executor` is written, and its weights are not read
  /// any more in this step. Any order.
  void PieceReady(int executor, int bucket);

  /// Sum of one owned slice, not empty: `range` in arena elements, `sum` with offset 0 at range.begin. New weights, if
  /// the caller makes them here, go to weights()[range].
  using OnSlice = std::function<void(int bucket, ElementRange range, const SliceSum& sum)>;
  void Reduce(const OnSlice& on_slice, bool share_at_once);
  /// Publishes what owners wrote to their slices of weights(); returns when all of weights() is new on this host.
  void Share();
  /// Collective, outside of steps: makes owned slices of weights() known to all hosts, e.g. after loading a checkpoint
  /// or swapping EMA weights in.
  void ShareNow();

 private:
  using PendingList = std::vector<std::unique_ptr<Pending>>;

  /// Buckets whose sums are between hosts at a time. Their memory is used in turn: it stays in the cache, and is a
  /// fraction of an arena.
  static constexpr int kWindow = 4;

  /// What a BucketPlan::Outgoing sends: a piece where it lies, or several folded into `buffer`.
  struct Relaying {
    std::optional<SliceSum> fold;
    std::span<std::byte> buffer;
  };
  struct Bucket {
    BucketPlan plan;
    std::optional<SliceSum> sum;                             ///< of the own slice; none where that is empty
    std::byte* received = nullptr;                           ///< plan.received_elements of wire()
    std::vector<Relaying> relaying;                          ///< by plan.outgoing
    PendingList sums_sent, sums_received, weights_received;  ///< under way
  };
  struct Slot {
    Buffer received, folded;
  };
  /// A step goes through these in turn; ShareNow is allowed in kIdle alone.
  enum class Phase { kIdle, kBegun, kReduced };

  static bool AllDone(PendingList& list);
  void AllocateSlots();
  void ResolveSum(Bucket& bucket, const std::vector<LaneSumStep>& order);
  void ResolveRelaying(Bucket& bucket, std::byte* folded, const std::vector<HostSum>& sums);
  /// Of `elements` in the type of sums.
  size_t WireBytes(int64_t elements) const { return static_cast<size_t>(elements * SizeOf(plan_.wire())); }
  std::span<float> SliceOfWeights(ElementRange range) const {
    return weights().subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size()));
  }
  Slot& SlotOf(int bucket) { return slots_[static_cast<size_t>(bucket % kWindow)]; }
  Bucket& BucketAt(int bucket) { return buckets_[static_cast<size_t>(bucket)]; }

  void BeginRecord(CollectiveKind::Value kind, int64_t step);
  void EndRecord() { comm_.recorder().LeaveCollective(collective_); }
  bool ReadyOnHost(int bucket);
  bool Advance(const OnSlice& on_slice);
  void ReceiveSums(int bucket);
  void RelaySums(int bucket);
  void ReceiveWeights(int bucket);
  void SendWeights(int bucket);
  template <typename Done, typename... Args>
  void WaitUntil(const Done& done, fmt::format_string<Args...> what, Args&&... args);

  Communicator& comm_;
  const Topology& topology_;
  const ExchangePlan plan_;
  ExchangeMemory memory_;
  std::vector<std::vector<std::byte*>> pieces_;  ///< by executor of this rank
  std::vector<std::vector<LaneRange>> nodes_;    ///< by executor of this rank
  std::array<Slot, kWindow> slots_;
  std::vector<Bucket> buckets_;
  PendingList weights_sent_;
  std::string what_;  ///< keeps its memory: a step within a host allocates nothing

  Phase phase_ = Phase::kIdle;
  int64_t step_ = 0;    ///< the caller's, for messages
  int64_t number_ = 0;  ///< steps begun: what flags are raised to, so that a step can be done again
  bool share_at_once_ = false;
  int relayed_ = 0;  ///< buckets that are ready on this host, and whose sums are on their way to owners elsewhere
  int reduced_ = 0;  ///< buckets whose slice has been through on_slice
  int ready_executors_ = 0;          ///< executors of this host that have been seen ready for bucket `relayed_`
  uint64_t collective_ = 0;          ///< the recorder's number of the exchange
  std::atomic<int64_t> missing_{0};  ///< of this rank's own part of the exchange: (executor, bucket) pairs to come
};

}  // namespace lockstep::comm
