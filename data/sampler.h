// Which sample stands at which position of the endless stream that training reads: a pure function of (seed, position).
//
// Position p lies in epoch p / size; within an epoch the order is a keyed permutation of [0, size), evaluated at one
// point: a Feistel network over the least even number of bits that holds size, with cycle walking (Black and Rogaway,
// "Ciphers with arbitrary finite domains", CT-RSA 2002). Exact for any size, no table.
#pragma once

#include <cstdint>

namespace lockstep::data {

class Sampler {
 public:
  /// REQUIRES: size >= 1.
  Sampler(uint64_t size, uint64_t seed, bool shuffle = true);

  struct Pick {
    uint64_t epoch;
    uint64_t id;
  };
  Pick At(uint64_t position) const;
  uint64_t size() const { return size_; }

 private:
  uint64_t Permute(uint64_t epoch, uint64_t index) const;

  uint64_t size_, seed_;
  bool shuffle_;
  int half_bits_;
};

}  // namespace lockstep::data
