// The device in the place of the backends that need none: tests/trainer/kernels/conformance_test.cc, and the tests in
// tests/trainer/kernels/cuda that ask for the emulated one, are built a second time with this file.
//
// Tolerances are those of every backend, 4 sqrt(terms) roundings (op_runner.h), and none is loosened: cuBLASLt and
// cuDNN add in other orders, and with fma, which errs less; what would err more (Winograd, FFT, TF32, reduced-precision
// sums) is not among the algorithms that are chosen. TF32 where it is asked for rounds products' factors to 11 bits.
#include "tests/gpu/device_backend.h"
#include "tests/gpu/kits.h"
#include "tests/trainer/kernels/backends.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"

namespace lockstep {

namespace {

std::unique_ptr<engine::Backend> Eager() { return gpu::MakeDeviceBackend(gpu::Kit(), gpu::Execution::kEager); }

}  // namespace

namespace conformance {

const std::vector<BackendCase>& Backends() {
  static const std::vector<BackendCase> backends = {
      {"gpu", 1, 0x1p-24, Eager},
      {"gpu_bf16", 1, 0x1p-8, Eager, DType::kBF16},
  };
  return backends;
}

}  // namespace conformance

namespace cuda {

std::unique_ptr<engine::Backend> MakeEmulatedBackend() { return Eager(); }

}  // namespace cuda

}  // namespace lockstep
