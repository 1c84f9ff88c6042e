// Checked calls of the CUDA runtime: a failure is an Error that carries the expression, its file and line. Included by
// kernels, so without what formats text.
#pragma once

#include <cuda_runtime_api.h>

namespace lockstep {

/// Throws Error(kUsage) where memory ran out, Error(kPeer) for what a device or driver did wrong, Error(kInternal) for
/// calls that we got wrong.
[[noreturn]] void CudaFailed(cudaError_t error, const char* expression, const char* file, int line);

}  // namespace lockstep

#define CUDA_CHECK(expression)                                                              \
  do {                                                                                      \
    if (const cudaError_t cuda_check_error = (expression); cuda_check_error != cudaSuccess) \
      ::lockstep::CudaFailed(cuda_check_error, #expression, __FILE__, __LINE__);            \
  } while (false)
