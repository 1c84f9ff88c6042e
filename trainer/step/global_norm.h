// The gradient's L2 norm over all ranks: sums of squares of fixed chunks of the parameter arena, added in index order.
#pragma once

#include <cstdint>
#include <span>

#include "comm/communicator.h"
#include "comm/slice_map.h"

namespace lockstep::step {

/// Collective. `chunk_sums`, by chunk of the arena, has this rank's owned chunks filled in, and all of them afterwards.
/// Only chunks of the first `elements` elements, the parameters, count; running statistics lie behind them.
double GlobalNorm(comm::Communicator& comm, const comm::SliceMap& slices, std::span<double> chunk_sums,
                  int64_t elements, uint64_t step);

}  // namespace lockstep::step
