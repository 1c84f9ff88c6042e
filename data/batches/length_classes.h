// The lengths that ragged batches are padded to: multiples of 4 up to 32, then four to an octave (40, 48, 56, 64, 80,
// ...), so that few programs serve all lengths and a batch is padded by a quarter at most.
#pragma once

#include <cstdint>
#include <vector>

namespace lockstep::data {

/// The least length class that holds `length`. REQUIRES: length >= 0.
int64_t LengthClassOf(int64_t length);

/// All classes from that of `least` to that of `most`, ascending.
std::vector<int64_t> LengthClassesBetween(int64_t least, int64_t most);

}  // namespace lockstep::data
