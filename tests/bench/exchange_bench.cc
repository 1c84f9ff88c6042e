// Under mpirun: the time of one exchange of float gradients (one executor and one piece per rank, the sum written to
// the weights) and of MPI_Allreduce of the same bytes, in turns in the same run: eight of the one, eight of the other,
// with two before each turn that are not measured; past the size of caches one by one. Prints medians of the slowest
// rank.
//
//   mpirun -n 2 --bind-to none exchange_bench [RANKS_PER_NODE [BUCKET_KIB [SIZE_KIB...]]]
//
// exchange.py beside this runs it with several numbers of ranks, in turns with PyTorch's Gloo.
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/machine/cores.h"
#include "base/memory.h"
#include "base/threads.h"
#include "comm/exchange.h"
#include "comm/mpi/mpi_communicator.h"

namespace {

using namespace lockstep;
using namespace lockstep::comm;

template <typename Work>
double SlowestSeconds(const Work& work) {
  MPI_Barrier(MPI_COMM_WORLD);
  const auto start = std::chrono::steady_clock::now();
  work();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return seconds;
}

// Each finds its own memory in the caches, as far as it fits in, and not what the other has left there.
constexpr size_t kInCaches = size_t{32} << 20;

template <typename Work>
void TakeTurn(int repeats, int unmeasured, const Work& work, std::vector<double>& seconds) {
  for (int i = 0; i < unmeasured; ++i) work();
  for (int i = 0; i < repeats; ++i) seconds.push_back(SlowestSeconds(work));
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void MeasureSize(Communicator& comm, size_t bytes, int64_t bucket_elements) {
  const int64_t elements = static_cast<int64_t>(bytes / sizeof(float));
  LanePlan plan;
  for (int rank = 0; rank < comm.world_size(); ++rank) plan.push_back({{rank, rank + 1}});
  Exchange exchange(comm, {comm.world_size(), plan, CutBuckets(elements, bucket_elements)});
  Buffer input(bytes), output(bytes);
  for (int64_t i = 0; i < elements; ++i) {
    reinterpret_cast<float*>(exchange.pieces(0)[0])[i] = input.As<float>()[static_cast<size_t>(i)] =
        static_cast<float>(i % 1000 + comm.rank());
  }

  const std::span<float> weights = exchange.weights();
  const auto sum_into_weights = [&](int, ElementRange range, const SliceSum& sum) {
    sum.Evaluate(0, weights.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size())));
  };
  int64_t step = 0;
  const auto exchange_once = [&] {
    exchange.Begin(step++);
    for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) exchange.PieceReady(0, bucket);
    exchange.Reduce(sum_into_weights, true);
    exchange.Share();
  };
  const auto allreduce_once = [&] {
    MPI_Allreduce(input.data(), output.data(), static_cast<int>(elements), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  };
  const int repeats = static_cast<int>(std::clamp<size_t>((size_t{1} << 30) / bytes, 9, 201));
  const int turn = bytes <= kInCaches ? 8 : 1;
  std::vector<double> ours, theirs;
  for (int i = 0; i < repeats; i += turn) {
    const int unmeasured = i == 0 || turn > 1 ? 2 : 0;
    TakeTurn(turn, unmeasured, exchange_once, ours);
    TakeTurn(turn, unmeasured, allreduce_once, theirs);
  }
  if (comm.rank() != 0) return;
  const auto rate = [&](double seconds) { return static_cast<double>(bytes) / seconds * 1e-9; };
  const auto best = [](const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); };
  std::printf("%10.3f  %12.4f %8.2f  %12.4f %8.2f  %6.2f  %12.2f\n", static_cast<double>(bytes) / (1 << 20),
              Median(ours) * 1e3, rate(Median(ours)), Median(theirs) * 1e3, rate(Median(theirs)),
              Median(theirs) / Median(ours), best(theirs) / best(ours));
}

}  // namespace

int main(int argc, char** argv) {
  auto comm = StartMpi({.ranks_per_host = argc > 1 ? std::atoi(argv[1]) : 0});
  const int64_t bucket_elements = (argc > 2 ? std::atoll(argv[2]) : 4096) * 1024 / static_cast<int64_t>(sizeof(float));
  PrepareComputeThread(1, "exchange_bench");
  comm->waiter().SetCrowded(comm->topology().local_size() > QueryCores().usable);
  if (comm->rank() == 0) {
    std::printf("%d ranks on %zu hosts, %s, buckets of %lld KiB\n", comm->world_size(), comm->topology().hosts.size(),
                MpiDescription().c_str(), static_cast<long long>(bucket_elements / 256));
    std::printf("%10s  %12s %8s  %12s %8s  %6s  %12s\n", "MiB", "exchange ms", "GB/s", "Allreduce ms", "GB/s", "faster",
                "best by best");
  }
  std::vector<size_t> sizes;
  for (int i = 3; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {256, 1024, 4096, 16384, 65536, 131072};
  for (const size_t kib : sizes) MeasureSize(*comm, kib * 1024, bucket_elements);
  return 0;
}
