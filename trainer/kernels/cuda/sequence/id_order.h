// Positions sorted by their id, those of one id in ascending order: so that each id's sum can be made by itself, in an
// order that is fixed. A radix sort, stable and without atomics; what it writes follows from the ids alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/device.h"

namespace lockstep::cuda {

struct IdPosition {
  int32_t id, position;
};

/// `count` ids, of which those in [0, entries) matter.
struct IdOrder {
  int64_t count, entries;
  IdPosition* sorted;   ///< ids that don't matter lie behind the others, as `entries`
  int32_t* starts;      ///< [entries + 1]: positions of id i are sorted[starts[i]] to sorted[starts[i + 1] - 1]
  IdPosition* scratch;  ///< as many as `sorted`
  uint32_t* counts;     ///< of digits by block
};

size_t IdOrderBytes(int64_t count, int64_t entries);
/// Where the parts lie in a workspace of IdOrderBytes, aligned to 8 bytes.
IdOrder IdOrderIn(std::byte* workspace, int64_t count, int64_t entries);
void LaunchIdOrder(DeviceStream& stream, const int32_t* ids, const IdOrder& order);

}  // namespace lockstep::cuda
