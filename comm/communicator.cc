#include "comm/communicator.h"

#include <algorithm>
#include <utility>

namespace lockstep::comm {

Communicator::Communicator(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)), waiter_(*transport_) {}

void Communicator::Wait(Pending& pending, const std::string& what) {
  WaitUntil([&] { return pending.Done(); }, what);
  if (pending.collective_ != 0) recorder().LeaveCollective(pending.collective_);
}

// The number is given before the call: the call itself may be what hangs.

std::unique_ptr<Pending> Communicator::Barrier() {
  const uint64_t number = recorder().EnterCollective(CollectiveKind::BARRIER, 0, {});
  std::unique_ptr<Pending> pending = transport_->Barrier();
  pending->collective_ = number;
  return pending;
}

std::unique_ptr<Pending> Communicator::Broadcast(std::span<std::byte> bytes, int root) {
  const uint64_t number = recorder().EnterCollective(CollectiveKind::BROADCAST, bytes.size(), {});
  std::unique_ptr<Pending> pending = transport_->Broadcast(bytes, root);
  pending->collective_ = number;
  return pending;
}

std::unique_ptr<Pending> Communicator::AllGather(std::span<const std::byte> mine, std::span<std::byte> all) {
  const uint64_t number = recorder().EnterCollective(CollectiveKind::ALL_GATHER, mine.size(), {});
  std::unique_ptr<Pending> pending = transport_->AllGather(mine, all);
  pending->collective_ = number;
  return pending;
}

// How many bytes may differ between ranks: a 0 is recorded.
std::vector<std::unique_ptr<SharedMemory>> Communicator::ShareWithinHost(size_t bytes) {
  const uint64_t number = recorder().EnterCollective(CollectiveKind::SHARED_MEMORY, 0, {});
  std::vector<std::unique_ptr<SharedMemory>> segments = transport_->ShareWithinHost(
      bytes, [this](const std::function<bool()>& done) { WaitUntil(done, "the shared memory of this host's ranks"); });
  recorder().LeaveCollective(number);
  return segments;
}

std::vector<std::string> GatherStrings(Communicator& comm, const std::string& mine, const std::string& what) {
  const size_t world_size = static_cast<size_t>(comm.world_size());
  const uint64_t length = mine.size();
  std::vector<uint64_t> lengths(world_size);
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(&length, 1)), std::as_writable_bytes(std::span(lengths))), what);

  const size_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::vector<std::string> all(world_size);
  if (longest == 0) return all;
  std::string padded = mine;
  padded.resize(longest);
  std::string joined(longest * world_size, '\0');
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(padded)), std::as_writable_bytes(std::span(joined))), what);
  for (size_t rank = 0; rank < world_size; ++rank) all[rank] = joined.substr(rank * longest, lengths[rank]);
  return all;
}

std::vector<std::string> GatherStringsAt(Communicator& comm, const std::string& mine, int root,
                                         const std::string& what) {
  constexpr size_t kPiece = size_t{64} << 20;  // libraries count bytes of a message as int
  constexpr int kTag = 0;
  const uint64_t length = mine.size();
  std::vector<uint64_t> lengths(static_cast<size_t>(comm.world_size()));
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(&length, 1)), std::as_writable_bytes(std::span(lengths))), what);
  if (comm.rank() != root) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(mine));
    for (size_t at = 0; at < bytes.size(); at += kPiece)
      comm.Wait(*comm.Send(bytes.subspan(at, std::min(kPiece, bytes.size() - at)), root, kTag), what);
    return {};
  }
  std::vector<std::string> all(lengths.size());
  for (int rank = 0; rank < comm.world_size(); ++rank) {
    std::string& theirs = all[static_cast<size_t>(rank)];
    if (rank == root) {
      theirs = mine;
      continue;
    }
    theirs.resize(lengths[static_cast<size_t>(rank)]);
    const std::span<std::byte> bytes = std::as_writable_bytes(std::span(theirs));
    for (size_t at = 0; at < bytes.size(); at += kPiece)
      comm.Wait(*comm.Receive(bytes.subspan(at, std::min(kPiece, bytes.size() - at)), rank, kTag), what);
  }
  return all;
}

std::string BroadcastString(Communicator& comm, const std::string& bytes, int root, const std::string& what) {
  uint64_t length = bytes.size();
  comm.Wait(*comm.Broadcast(std::as_writable_bytes(std::span(&length, 1)), root), what);
  std::string result = comm.rank() == root ? bytes : std::string(length, '\0');
  if (length > 0) comm.Wait(*comm.Broadcast(std::as_writable_bytes(std::span(result)), root), what);
  return result;
}

}  // namespace lockstep::comm
