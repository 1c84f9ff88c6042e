// The exchange between devices, one to a rank: partial sums over lanes go to slice owners, and what owners make of
// their sum (new weights) goes back to everyone. The same slices, the same lane tree and so the same bits as the
// exchange between hosts (exchange.h); but each rank has an arena of weights to itself, and everything is work on a
// stream.
//
// A rank folds its lanes into *pieces* (partial sums of maximal lane-tree nodes), one gradient arena each. For a
// bucket:
//
//   Collect(stream, bucket)   sends this rank's pieces of the slices of others, receives theirs of its own slice
//   sums(bucket)              the addends of the own slice and the order in which to add them, for a kernel to read
//   Share(stream, bucket)     sends the own slice of the weights to all others, and receives theirs
//
// Buckets may follow each other without waiting: received pieces lie in one memory that buckets use in turn, in stream
// order. So all buckets of a step go through one stream.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/device.h"
#include "base/lane_tree.h"
#include "comm/communicator.h"
#include "comm/device/device_transport.h"
#include "comm/exchange_plan.h"
#include "comm/slice_map.h"

namespace lockstep::comm {

/// The addends of a slice in device memory, and the order in which to add them: a postfix program (base/lane_tree.h) of
/// piece numbers and LaneSumStep::kAdd.
struct DeviceSum {
  const std::byte* const* pieces = nullptr;  ///< [pieces], of wire(), each at the slice's first element
  const int32_t* order = nullptr;            ///< [2 * count - 1]
  int count = 0;
};

class DeviceExchange {
 public:
  /// `options` as for Exchange; every rank has one executor. Allocates the arenas. All three outlive this.
  DeviceExchange(Communicator& comm, Device& device, DeviceTransport& transport, const ExchangeOptions& options);
  /// Bytes of device memory that it needs besides arenas and received pieces, where all ranks together have `pieces`.
  static size_t TableBytes(size_t pieces, size_t buckets);

  const SliceMap& slices() const { return slices_; }
  /// Of partial sums (ExchangeOptions::wire).
  DType wire() const { return wire_; }
  /// The gradient arenas, of wire() elements, that this rank folds into, one per maximal node of its lanes, in lane
  /// order: device memory.
  std::span<std::byte* const> pieces() const { return pieces_; }
  std::span<const LaneRange> piece_nodes() const { return nodes_; }
  /// Of all ranks' pieces, in the order in which sums number them.
  std::span<const LaneRange> all_nodes() const { return all_nodes_; }
  /// This rank's weight arena: device memory. The owned slices are written here before Share.
  float* weights() const { return weights_->As<float>(); }

  void Collect(DeviceStream& stream, int bucket);
  /// Of the own slice, which must not be empty.
  const DeviceSum& sums(int bucket) const { return sums_[static_cast<size_t>(bucket)]; }
  void Share(DeviceStream& stream, int bucket) {
    ShareRanges(stream, bucket, reinterpret_cast<std::byte*>(weights()), sizeof(float), 1, "the new weights");
  }
  /// The same with any array parallel to the arena that has `bytes` bytes for every `elements` elements (a divisor of
  /// the chunk, or the chunk).
  void ShareRanges(DeviceStream& stream, int bucket, std::byte* array, size_t bytes, int64_t elements,
                   const char* what);

 private:
  using Parts = std::vector<DeviceTransport::Part>;

  /// Of `elements` in the type of sums.
  size_t WireBytes(int64_t elements) const { return static_cast<size_t>(elements * SizeOf(wire_)); }
  void AllocateReceived(const std::vector<Piece>& pieces);
  /// Also says where the addends of the own slice of `bucket` lie, and what comes in for it.
  std::vector<const std::byte*> PlanReceives(const std::vector<Piece>& pieces, int bucket, Parts& receives) const;
  Parts PlanSends(int bucket) const;
  void PlanSums(const std::vector<Piece>& pieces);

  Communicator& comm_;
  Device& device_;
  DeviceTransport& transport_;
  SliceMap slices_;
  int lanes_;
  DType wire_;
  std::unique_ptr<DeviceMemory> weights_, received_, tables_;
  std::vector<std::unique_ptr<DeviceMemory>> arenas_;
  std::vector<std::byte*> pieces_;
  std::vector<LaneRange> nodes_, all_nodes_;
  std::vector<DeviceSum> sums_;          ///< by bucket
  std::vector<Parts> sends_, receives_;  ///< by bucket: pieces
};

}  // namespace lockstep::comm
