#include "trainer/step/global_norm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lockstep::step {

double GlobalNorm(comm::Communicator& comm, const comm::SliceMap& slices, std::span<double> chunk_sums,
                  int64_t elements, uint64_t step) {
  const auto chunk_sum = [&](int64_t element) -> double& {
    return chunk_sums[static_cast<size_t>(element / kChunkElements)];
  };
  const auto visit = [&](int rank, const auto& use) {
    size_t index = 0;
    for (int bucket = 0; bucket < slices.buckets(); ++bucket) {
      const ElementRange range = slices.slice(bucket, rank);
      for (int64_t at = range.begin; at < range.end; at += kChunkElements) use(index++, at);
    }
    return index;
  };
  size_t most = 0;
  for (int rank = 0; rank < comm.world_size(); ++rank) most = std::max(most, visit(rank, [](size_t, int64_t) {}));

  std::vector<double> mine(most), all(most * static_cast<size_t>(comm.world_size()));
  visit(comm.rank(), [&](size_t index, int64_t at) { mine[index] = chunk_sum(at); });
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all))),
            fmt::format("the gradient norm of step {}", step));
  for (int rank = 0; rank < comm.world_size(); ++rank)
    visit(rank, [&](size_t index, int64_t at) { chunk_sum(at) = all[most * static_cast<size_t>(rank) + index]; });

  double sum = 0;
  for (int64_t at = 0; at < elements; at += kChunkElements) sum += chunk_sum(at);
  return std::sqrt(sum);
}

}  // namespace lockstep::step
