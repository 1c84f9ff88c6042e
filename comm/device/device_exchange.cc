#include "comm/device/device_exchange.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/memory.h"

namespace lockstep::comm {
namespace {

// One table per bucket: addresses of pieces, then the order in which to add them.
size_t AddressBytes(size_t pieces) { return AlignUp(pieces * sizeof(std::byte*), kValueAlignment); }
size_t TableBytesOfABucket(size_t pieces) {
  return AddressBytes(pieces) + AlignUp((2 * pieces - 1) * sizeof(int32_t), kValueAlignment);
}

}  // namespace

DeviceExchange::DeviceExchange(Communicator& comm, Device& device, DeviceTransport& transport,
                               const ExchangeOptions& options)
    : comm_(comm),
      device_(device),
      transport_(transport),
      slices_(options.buckets, comm.world_size()),
      lanes_(options.lanes),
      wire_(options.wire) {
  const int64_t elements = options.buckets.back().end;
  weights_ = device.Allocate(static_cast<size_t>(elements) * sizeof(float), "the weights");
  std::vector<Piece> all;
  for (int rank = 0; rank < comm.world_size(); ++rank) {
    const std::vector<LaneRange>& runs = options.plan[static_cast<size_t>(rank)];
    CHECK(runs.size() == 1, "rank {} has {} executors", rank, runs.size());
    for (LaneRange node : MaximalNodes(lanes_, runs.front())) {
      all.push_back({rank, 0, node});
      if (rank != comm.rank()) continue;
      nodes_.push_back(node);
      pieces_.push_back(arenas_.emplace_back(device.Allocate(WireBytes(elements), "the gradients"))->data());
    }
  }
  PlanSums(all);
}

size_t DeviceExchange::TableBytes(size_t pieces, size_t buckets) { return TableBytesOfABucket(pieces) * buckets; }

void DeviceExchange::AllocateReceived(const std::vector<Piece>& pieces) {
  const auto foreign =
      std::count_if(pieces.begin(), pieces.end(), [&](const Piece& piece) { return piece.rank != comm_.rank(); });
  size_t largest = 0;
  for (int bucket = 0; bucket < slices_.buckets(); ++bucket)
    largest = std::max(largest, AlignUp(WireBytes(slices_.slice(bucket, comm_.rank()).size()), kValueAlignment));
  received_ = device_.Allocate(largest * static_cast<size_t>(foreign), "gradients from other ranks");
}

std::vector<const std::byte*> DeviceExchange::PlanReceives(const std::vector<Piece>& pieces, int bucket,
                                                           Parts& receives) const {
  const ElementRange mine = slices_.slice(bucket, comm_.rank());
  std::byte* next = received_->data();
  std::vector<const std::byte*> addresses;
  size_t own = 0;
  for (const Piece& piece : pieces) {
    if (piece.rank == comm_.rank()) {
      addresses.push_back(pieces_[own++] + WireBytes(mine.begin));
      continue;
    }
    addresses.push_back(next);
    if (mine.size() > 0) receives.push_back({piece.rank, next, WireBytes(mine.size())});
    next += AlignUp(WireBytes(mine.size()), kValueAlignment);
  }
  return addresses;
}

DeviceExchange::Parts DeviceExchange::PlanSends(int bucket) const {
  Parts sends;
  for (int owner = 0; owner < comm_.world_size(); ++owner) {
    const ElementRange theirs = slices_.slice(bucket, owner);
    if (owner == comm_.rank() || theirs.size() == 0) continue;
    for (std::byte* piece : pieces_)
      sends.push_back({owner, piece + WireBytes(theirs.begin), WireBytes(theirs.size())});
  }
  return sends;
}

void DeviceExchange::PlanSums(const std::vector<Piece>& pieces) {
  AllocateReceived(pieces);
  for (const Piece& piece : pieces) all_nodes_.push_back(piece.node);
  std::vector<int32_t> order;
  for (const LaneSumStep& step : LaneSumOrder(lanes_, {0, lanes_}, all_nodes_))
    order.push_back(static_cast<int32_t>(step.piece));

  const size_t addresses_bytes = AddressBytes(pieces.size());
  const size_t table = TableBytesOfABucket(pieces.size());
  const auto buckets = static_cast<size_t>(slices_.buckets());
  tables_ = device_.Allocate(table * buckets, "the exchange's tables");
  const std::unique_ptr<DeviceMemory> staging = device_.AllocatePinned(table * buckets);
  for (int bucket = 0; bucket < slices_.buckets(); ++bucket) {
    const std::vector<const std::byte*> addresses = PlanReceives(pieces, bucket, receives_.emplace_back());
    sends_.push_back(PlanSends(bucket));
    const size_t at = table * static_cast<size_t>(bucket);
    std::copy(addresses.begin(), addresses.end(), reinterpret_cast<const std::byte**>(staging->data() + at));
    std::copy(order.begin(), order.end(), reinterpret_cast<int32_t*>(staging->data() + at + addresses_bytes));
    sums_.push_back({reinterpret_cast<const std::byte* const*>(tables_->data() + at),
                     reinterpret_cast<const int32_t*>(tables_->data() + at + addresses_bytes),
                     static_cast<int>(pieces.size())});
  }
  const std::unique_ptr<DeviceStream> stream = device_.MakeStream();
  stream->Copy(tables_->data(), staging->data(), staging->size());
  stream->Synchronize();
}

void DeviceExchange::Collect(DeviceStream& stream, int bucket) {
  const auto index = static_cast<size_t>(bucket);
  if (sends_[index].empty() && receives_[index].empty()) return;
  transport_.Exchange(stream, sends_[index], receives_[index], fmt::format("the gradients of bucket {}", bucket));
}

void DeviceExchange::ShareRanges(DeviceStream& stream, int bucket, std::byte* array, size_t bytes, int64_t elements,
                                 const char* what) {
  if (comm_.world_size() == 1) return;
  const auto part = [&](int rank, ElementRange range) {
    const int64_t first = range.begin / elements, last = (range.end + elements - 1) / elements;
    return DeviceTransport::Part{rank, array + static_cast<size_t>(first) * bytes,
                                 static_cast<size_t>(last - first) * bytes};
  };
  std::vector<DeviceTransport::Part> sends, receives;
  const ElementRange mine = slices_.slice(bucket, comm_.rank());
  for (int other = 0; other < comm_.world_size(); ++other) {
    if (other == comm_.rank()) continue;
    const ElementRange theirs = slices_.slice(bucket, other);
    if (mine.size() > 0) sends.push_back(part(other, mine));
    if (theirs.size() > 0) receives.push_back(part(other, theirs));
  }
  transport_.Exchange(stream, sends, receives, fmt::format("{} of bucket {}", what, bucket));
}

}  // namespace lockstep::comm
