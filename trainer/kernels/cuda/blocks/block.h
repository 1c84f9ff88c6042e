// Kernels as block programs: what the threads of one block do, phase by phase, written once. nvcc compiles a phase to
// code for each thread and a barrier behind it; on the host it is a loop over the threads. So every kernel of ours,
// with its index computations and its order of summation, runs and is tested on machines without a GPU, and gives the
// same bits there (contraction to fma is off, denormals are flushed, on both).
//
//   struct RowSum {
//     static constexpr int kThreads = 128;
//     struct Shared { float partial[kThreads]; };
//     const float* x; float* sum; int64_t columns;
//
//     template <typename Block>
//     LOCKSTEP_HD void operator()(Block& block) const {
//       Shared& shared = block.template SharedAs<Shared>();
//       const float* row = x + block.index() * columns;
//       block.ForEachThread([&](int t) {
//         float partial = 0;
//         for (int64_t i = t; i < columns; i += kThreads) partial += row[i];
//         shared.partial[t] = partial;
//       });
//       TreeSum<kThreads>(block, shared.partial);
//       block.ForEachThread([&](int t) { if (t == 0) sum[block.index()] = shared.partial[0]; });
//     }
//   };
//   Launch(stream, rows, RowSum{x, sum, columns});
//
// A phase must not read what another thread writes in the same phase. Values that a thread keeps from one phase to the
// next are PerThread. Kernels are plain data: pointers and numbers, copied to the device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/host_device.h"

#ifdef __CUDA_ARCH__
#define LOCKSTEP_UNROLL _Pragma("unroll")
#define LOCKSTEP_ROLLED _Pragma("unroll 1")  // where more at once would take too many registers
#else
#define LOCKSTEP_UNROLL
#define LOCKSTEP_ROLLED
#endif

namespace lockstep::cuda {

#ifdef __CUDACC__

class DeviceBlock {
 public:
  __device__ int64_t index() const { return blockIdx.x; }

  /// Runs phase(thread) for all threads of the block, and then a barrier.
  template <typename F>
  __device__ void ForEachThread(F&& phase) {
    phase(static_cast<int>(threadIdx.x));
    __syncthreads();
  }
  /// The same with a barrier for groups of `size` threads (a power of two; thread t is of group t / size), which is all
  /// but free for groups within a warp: for phases behind which no thread reads what another group wrote.
  template <typename F>
  __device__ void ForEachThreadOfGroups(int size, F&& phase) {
    phase(static_cast<int>(threadIdx.x));
    if (size <= warpSize)
      __syncwarp();
    else
      __syncthreads();
  }
  /// The same without a barrier behind it: for kernels whose threads share nothing.
  template <typename F>
  __device__ void ForEachThreadAlone(F&& phase) {
    phase(static_cast<int>(threadIdx.x));
  }

  /// Memory that the threads of the block share; one type per kernel, asked for once. Not initialised.
  template <typename T>
  __device__ T& SharedAs() {
    __shared__ alignas(16) unsigned char memory[sizeof(T)];
    return *reinterpret_cast<T*>(memory);
  }
};

/// A value of each thread, kept between phases: in a register.
template <typename T, int kThreads>
class PerThread {
 public:
  __host__ __device__ T& operator[](int) { return value_; }

 private:
  T value_;
};

#else

/// What a block's threads may share, on the host as on every GPU without asking for more.
inline constexpr size_t kSharedBytes = 48 * 1024;

/// Threads run in ascending or in descending order: kernels whose bits depend on it lack a barrier.
class HostBlock {
 public:
  /// `shared`: kSharedBytes.
  HostBlock(int64_t index, int threads, bool descending, void* shared)
      : index_(index), threads_(threads), descending_(descending), shared_(shared) {}

  int64_t index() const { return index_; }
  template <typename F>
  void ForEachThread(F&& phase) {
    for (int i = 0; i < threads_; ++i) phase(descending_ ? threads_ - 1 - i : i);
  }
  template <typename F>
  void ForEachThreadOfGroups(int /*size*/, F&& phase) {
    ForEachThread(phase);
  }
  template <typename F>
  void ForEachThreadAlone(F&& phase) {
    ForEachThread(phase);
  }
  /// Starts as not-a-number in every float.
  template <typename T>
  T& SharedAs() {
    static_assert(sizeof(T) <= kSharedBytes);
    __builtin_memset(shared_, 0xFF, sizeof(T));
    return *static_cast<T*>(shared_);
  }

 private:
  int64_t index_;
  int threads_;
  bool descending_;
  void* shared_;
};

template <typename T, int kThreads>
class PerThread {
 public:
  T& operator[](int thread) { return values_[thread]; }

 private:
  T values_[kThreads];
};

#endif

/// values[0] becomes the sum of all: halves are added to halves, value i to value i + n / 2, and so on. kThreads: a
/// power of two.
template <int kThreads, typename Block, typename T>
LOCKSTEP_HD void TreeSum(Block& block, T* values) {
  static_assert((kThreads & (kThreads - 1)) == 0);
  LOCKSTEP_UNROLL
  for (int half = kThreads / 2; half > 0; half /= 2) {
    block.ForEachThread([&](int t) {
      if (t < half) values[t] = values[t] + values[t + half];
    });
  }
}

/// The same with the greater of two instead of their sum.
template <int kThreads, typename Block, typename T>
LOCKSTEP_HD void TreeMax(Block& block, T* values) {
  static_assert((kThreads & (kThreads - 1)) == 0);
  LOCKSTEP_UNROLL
  for (int half = kThreads / 2; half > 0; half /= 2) {
    block.ForEachThread([&](int t) {
      if (t < half && values[t + half] > values[t]) values[t] = values[t + half];
    });
  }
}

/// N elements that are read and written as one: 16 bytes where N * sizeof(T) is 16.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};

}  // namespace lockstep::cuda
