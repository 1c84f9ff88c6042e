#include "data/batches/length_classes.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace lockstep::data {

int64_t LengthClassOf(int64_t length) {
  CHECK(length >= 0);
  constexpr int64_t kLeastStep = 4, kPerOctave = 4;
  const auto size = static_cast<uint64_t>(std::max<int64_t>(length, 1));
  // Of the octave (2^k, 2^(k + 1)] that it lies in.
  const int64_t octave = size == 1 ? 1 : static_cast<int64_t>(std::bit_floor(size - 1));
  const int64_t step = std::max(kLeastStep, octave / kPerOctave);
  return (static_cast<int64_t>(size) + step - 1) / step * step;
}

std::vector<int64_t> LengthClassesBetween(int64_t least, int64_t most) {
  std::vector<int64_t> classes = {LengthClassOf(least)};
  while (classes.back() < most) classes.push_back(LengthClassOf(classes.back() + 1));
  return classes;
}

}  // namespace lockstep::data
