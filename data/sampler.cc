#include "data/sampler.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"
#include "base/philox.h"

namespace lockstep::data {
namespace {

/// Four rounds are enough for large domains (Luby and Rackoff 1988); small ones mix with more.
constexpr int kRounds = 8;
constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;

}  // namespace

Sampler::Sampler(uint64_t size, uint64_t seed, bool shuffle) : size_(size), seed_(seed), shuffle_(shuffle) {
  CHECK(size >= 1);
  half_bits_ = std::max(1, static_cast<int>((std::bit_width(size - 1) + 1) / 2));
}

Sampler::Pick Sampler::At(uint64_t position) const {
  const uint64_t epoch = position / size_, index = position % size_;
  return {epoch, shuffle_ ? Permute(epoch, index) : index};
}

uint64_t Sampler::Permute(uint64_t epoch, uint64_t index) const {
  const uint64_t key = Mix64(Mix64(seed_ + kGolden) + kGolden * (epoch + 1));
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  // The walk leaves [0, size) and comes back: at most 4 values of the domain stand for one of the data, so it is short.
  do {
    uint64_t left = index >> half_bits_, right = index & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = Mix64(key + kGolden * (right * kRounds + round + 1));
      left ^= mixed >> 32 & mask;
      std::swap(left, right);
    }
    index = left << half_bits_ | right;
  } while (index >= size_);
  return index;
}

}  // namespace lockstep::data
