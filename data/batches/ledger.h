// The ledger proves that each position of the data was delivered exactly once: two hashes of the sample ids that the
// loader gave to programs, split at epoch boundaries (DESIGN section 2).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace lockstep::data {

/// The sum, mod 2^64, of mixed (epoch, id) over delivered samples: independent of order, so lanes and ranks add up.
class CommutativeLedger {
 public:
  static uint64_t Mix(uint64_t epoch, uint64_t id);
  /// What a whole epoch of a data set of `size` samples adds up to.
  static uint64_t WholeEpoch(uint64_t epoch, uint64_t size);
};

/// What one lane delivered at one step: the commutative sums per epoch (a step may straddle two) and an ordered hash of
/// its ids.
struct LaneDelivery {
  uint64_t first_epoch = 0;  ///< epoch of the lane's first sample
  uint64_t sum_first = 0;    ///< commutative sum of samples in first_epoch
  uint64_t sum_next = 0;     ///< ... and in first_epoch + 1
  uint64_t ordered = 0;      ///< hash over (epoch, id) in order

  /// Enters the next sample. REQUIRES: `epoch` is first_epoch, or the one after it.
  void Add(uint64_t epoch, uint64_t id);
};

/// The running state, the same on all ranks because deliveries of all lanes travel in the control record. Saved in
/// checkpoints.
class Ledger {
 public:
  explicit Ledger(uint64_t dataset_size) : size_(dataset_size) {}

  /// Deliveries of all lanes of `step`, in lane order; `samples_through_step` samples were delivered up to and with
  /// them. REQUIRES: steps come in order. Throws Error(kInternal) where an epoch has just ended and its sum is not that
  /// of the whole data.
  void Add(uint64_t step, std::span<const LaneDelivery> lanes, uint64_t samples_through_step);

  uint64_t chain() const { return chain_; }
  /// Ledger 1: little-endian 64-bit numbers: 1, size, chain, next epoch to close, open epochs, and (epoch, sum) of
  /// each.
  std::string Serialize() const;
  /// Throws Error(kCheckpoint) where `bytes` are no ledger, or one of data of another size.
  void Restore(const std::string& bytes);
  /// Goes on from a ledger of other batches or other data with the beginning of epoch `epoch`: what is open in it stays
  /// unproved. Throws as Restore does, but for the size.
  void RestoreForEpoch(const std::string& bytes, uint64_t epoch);

 private:
  static std::vector<uint64_t> Parse(const std::string& bytes);

  uint64_t size_;
  uint64_t chain_ = 0;                        ///< hash of (previous chain, step, lane hashes)
  uint64_t next_epoch_ = 0;                   ///< the first that is not closed
  std::map<uint64_t, uint64_t> open_epochs_;  ///< epoch -> commutative sum so far
};

}  // namespace lockstep::data
