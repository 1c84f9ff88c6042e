// Marks functions that run on the CPU and on CUDA devices from one source. They are always inlined: the CPU backend
// compiles its loops once per instruction set, and an out-of-line copy built for AVX-512 must never be linked into the
// AVX2 loops.
#pragma once

#ifdef __CUDACC__
#define LOCKSTEP_HD __host__ __device__ __forceinline__
#define LOCKSTEP_INLINE
#else
#define LOCKSTEP_HD inline __attribute__((always_inline))
#define LOCKSTEP_INLINE __attribute__((always_inline))  // what lambdas in such functions say
#endif
