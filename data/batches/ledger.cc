#include "data/batches/ledger.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/philox.h"

namespace lockstep::data {
namespace {

static_assert(std::endian::native == std::endian::little, "ledgers are stored as they lie in memory");
constexpr uint64_t kVersion = 1;
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
constexpr size_t kFixed = 5;  ///< words before the open epochs

/// A hash of a sequence, one value at a time.
uint64_t Chain(uint64_t hash, uint64_t value) { return Mix64(hash * kGolden + value + 1); }

}  // namespace

uint64_t CommutativeLedger::Mix(uint64_t epoch, uint64_t id) {
  return Mix64(Mix64(epoch + kGolden) + kGolden * (id + 1));
}

uint64_t CommutativeLedger::WholeEpoch(uint64_t epoch, uint64_t size) {
  uint64_t sum = 0;
  for (uint64_t id = 0; id < size; ++id) sum += Mix(epoch, id);
  return sum;
}

void LaneDelivery::Add(uint64_t epoch, uint64_t id) {
  CHECK(epoch - first_epoch <= 1, "a sample of epoch {} in a lane that begins in epoch {}", epoch, first_epoch);
  const uint64_t mixed = CommutativeLedger::Mix(epoch, id);
  (epoch == first_epoch ? sum_first : sum_next) += mixed;
  ordered = Chain(ordered, mixed);
}

void Ledger::Add(uint64_t step, std::span<const LaneDelivery> lanes, uint64_t samples_through_step) {
  chain_ = Chain(chain_, step);
  for (const LaneDelivery& lane : lanes) {
    chain_ = Chain(chain_, lane.ordered);
    open_epochs_[lane.first_epoch] += lane.sum_first;
    if (lane.sum_next != 0) open_epochs_[lane.first_epoch + 1] += lane.sum_next;
  }
  for (; next_epoch_ < samples_through_step / size_; ++next_epoch_) {
    if (open_epochs_[next_epoch_] != CommutativeLedger::WholeEpoch(next_epoch_, size_)) {
      throw Error(ErrorKind::kInternal,
                  fmt::format("epoch {} did not deliver each of its {} samples exactly once", next_epoch_, size_),
                  fmt::format("step {}", step), "this is a bug in Lockstep; please report it");
    }
    open_epochs_.erase(next_epoch_);
  }
}

std::string Ledger::Serialize() const {
  std::vector<uint64_t> words = {kVersion, size_, chain_, next_epoch_, open_epochs_.size()};
  for (const auto& [epoch, sum] : open_epochs_) words.insert(words.end(), {epoch, sum});
  return {reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t)};
}

std::vector<uint64_t> Ledger::Parse(const std::string& bytes) {
  std::vector<uint64_t> words(bytes.size() / sizeof(uint64_t));
  if (!words.empty()) std::memcpy(words.data(), bytes.data(), words.size() * sizeof(uint64_t));
  const bool whole = bytes.size() % sizeof(uint64_t) == 0 && words.size() >= kFixed &&
                     (words.size() - kFixed) % 2 == 0 && words[4] == (words.size() - kFixed) / 2;
  if (!whole || words[0] != kVersion) {
    throw Error(ErrorKind::kCheckpoint, whole ? fmt::format("the ledger's version {} is unknown", words[0])
                                              : fmt::format("{} bytes are no ledger", bytes.size()));
  }
  return words;
}

void Ledger::RestoreForEpoch(const std::string& bytes, uint64_t epoch) {
  chain_ = Parse(bytes)[2];
  next_epoch_ = epoch;
  open_epochs_.clear();
}

void Ledger::Restore(const std::string& bytes) {
  const std::vector<uint64_t> words = Parse(bytes);
  if (words[1] != size_) {
    throw Error(ErrorKind::kCheckpoint, fmt::format("the ledger is of {} samples, the data has {}", words[1], size_));
  }
  chain_ = words[2];
  next_epoch_ = words[3];
  open_epochs_.clear();
  for (size_t i = kFixed; i < words.size(); i += 2) open_epochs_[words[i]] = words[i + 1];
}

}  // namespace lockstep::data
