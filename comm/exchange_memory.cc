#include "comm/exchange_memory.h"

#include "base/arena.h"

namespace lockstep::comm {
namespace {

constexpr size_t kFlagSpacing = 64;  // a cache line

static_assert(std::atomic_ref<int64_t>::is_always_lock_free, "flags are shared between processes");

}  // namespace

ExchangeMemory::ExchangeMemory(Communicator& comm, const ExchangePlan& plan)
    : executors_(plan.executors_on(comm.topology().host())), buckets_(plan.slices().buckets()) {
  const Topology& topology = comm.topology();
  const auto elements = static_cast<size_t>(plan.elements());
  const size_t weights_bytes = AlignUp(elements * sizeof(float), kBufferAlignment);
  const size_t piece_bytes = AlignUp(elements * static_cast<size_t>(SizeOf(plan.wire())), kBufferAlignment);
  const size_t flag_count = FinishedIndex(topology.local_size());
  const size_t flag_bytes = AlignUp(flag_count * kFlagSpacing, kBufferAlignment);

  size_t mine = topology.local_rank() == 0 ? weights_bytes + flag_bytes : 0;
  for (const Piece& piece : plan.pieces(topology.host())) mine += piece.rank == topology.rank ? piece_bytes : 0;
  segments_ = comm.ShareWithinHost(mine);

  std::vector<std::byte*> next;  // by local rank: where its next arena lies
  for (const auto& segment : segments_) next.push_back(segment->data().data());
  weights_ = {reinterpret_cast<float*>(next[0]), elements};
  flags_ = next[0] + weights_bytes;
  next[0] += weights_bytes + flag_bytes;
  for (const Piece& piece : plan.pieces(topology.host())) {
    std::byte*& arena = next[static_cast<size_t>(topology.LocalRank(piece.rank))];
    pieces_.push_back(arena);
    arena += piece_bytes;
  }
}

std::atomic_ref<int64_t> ExchangeMemory::Flag(size_t index) const {
  return std::atomic_ref<int64_t>(*reinterpret_cast<int64_t*>(flags_ + index * kFlagSpacing));
}

}  // namespace lockstep::comm
