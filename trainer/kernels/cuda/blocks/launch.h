// Starts a block program (block.h) on a stream: on a GPU where nvcc compiles it, on a stream of the host's threads
// (base/emulated_device.h) elsewhere. Includes nothing that formats text: nvcc takes seconds for that.
#pragma once

#include <cstdint>

#include "base/device.h"
#include "trainer/kernels/cuda/blocks/block.h"

#ifdef __CUDACC__
#include "base/cuda/check.h"
#include "base/cuda/cuda_device.h"
#else
#include <atomic>
#include <bit>

#include "base/emulated_device.h"
#endif

namespace lockstep::cuda {

#ifdef __CUDACC__

/// How many blocks a processor has registers for, at least: one, or what the kernel says. Asked for more, nvcc saves
/// registers until some spill.
template <typename Kernel>
constexpr int ResidentBlocks() {
  if constexpr (requires { Kernel::kResidentBlocks; }) {
    return Kernel::kResidentBlocks;
  } else {
    return 1;
  }
}

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, ResidentBlocks<Kernel>()) RunBlock(const Kernel kernel) {
  DeviceBlock block;
  kernel(block);
}

/// Runs kernel(block) for blocks 0 to `blocks` - 1 (below 2^31), in no order. None: nothing is started.
template <typename Kernel>
void Launch(DeviceStream& stream, int64_t blocks, const Kernel& kernel) {
  if (blocks == 0) return;
  RunBlock<<<static_cast<unsigned>(blocks), Kernel::kThreads, 0, NativeStream(stream)>>>(kernel);
  CUDA_CHECK(cudaPeekAtLastError());
}

#else

/// Whether the next kernel's blocks and threads run in descending order: a sequence without a period (Thue and
/// Morse's), so that kernels run again do so in both orders.
inline bool NextOrder() {
  static std::atomic<uint64_t> runs = 0;
  return std::popcount(runs++) % 2 == 1;
}

template <typename Kernel>
void Launch(DeviceStream& stream, int64_t blocks, const Kernel& kernel) {
  if (blocks == 0) return;
  static_cast<EmulatedStream&>(stream).Enqueue([blocks, kernel] {
    alignas(64) unsigned char shared[kSharedBytes];
    const bool descending = NextOrder();
    for (int64_t i = 0; i < blocks; ++i) {
      HostBlock block(descending ? blocks - 1 - i : i, Kernel::kThreads, descending, shared);
      kernel(block);
    }
  });
}

#endif

/// Blocks of `threads` threads that do `each` elements apiece, for `n` elements.
constexpr int64_t BlocksFor(int64_t n, int threads, int each) {
  const int64_t block = static_cast<int64_t>(threads) * each;
  return (n + block - 1) / block;
}

}  // namespace lockstep::cuda
