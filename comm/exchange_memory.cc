#include "comm/exchange_memory.h"

#include "base/memory.h"

namespace lockstep::comm {
namespace {

constexpr size_t kFlagSpacing = 64;  // a cache line

static_assert(std::atomic_ref<int64_t>::is_always_lock_free, "flags are shared between processes");

}  // namespace

ExchangeMemory::ExchangeMemory(Communicator& comm, const ExchangeLayout& layout, int64_t elements, int buckets)
    : executors_(layout.local_executors()), buckets_(buckets) {
  const Topology& topology = comm.topology();
  const size_t arena_bytes = AlignUp(static_cast<size_t>(elements) * sizeof(float), kBufferAlignment);
  const size_t flag_count = FinishedIndex(topology.local_size());
  const size_t flag_bytes = AlignUp(flag_count * kFlagSpacing, kBufferAlignment);

  size_t mine = topology.local_rank() == 0 ? arena_bytes + flag_bytes : 0;
  for (const LocalPiece& piece : layout.local_pieces())
    mine += piece.local_rank == topology.local_rank() ? arena_bytes : 0;
  segments_ = comm.ShareWithinHost(mine);

  std::vector<std::byte*> next;  // by local rank: where its next arena lies
  for (const auto& segment : segments_) next.push_back(segment->data().data());
  weights_ = {reinterpret_cast<float*>(next[0]), static_cast<size_t>(elements)};
  flags_ = next[0] + arena_bytes;
  next[0] += arena_bytes + flag_bytes;
  for (const LocalPiece& piece : layout.local_pieces()) {
    std::byte*& arena = next[static_cast<size_t>(piece.local_rank)];
    pieces_.push_back(reinterpret_cast<float*>(arena));
    arena += arena_bytes;
  }
}

std::atomic_ref<int64_t> ExchangeMemory::Flag(size_t index) const {
  return std::atomic_ref<int64_t>(*reinterpret_cast<int64_t*>(flags_ + index * kFlagSpacing));
}

}  // namespace lockstep::comm
