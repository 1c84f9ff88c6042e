#include "tests/trainer/kernels/backends.h"

#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/reference_backend.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::conformance {

const std::vector<BackendCase>& Backends() {
  static const std::vector<BackendCase> backends = {
      {"reference", 1, 0x1p-24, [] { return MakeReferenceBackend(); }},
      {"onednn", 1, 0x1p-24, [] { return MakeOneDnnBackend({.lane_threads = 1}); }},
      {"onednn_2_threads", 2, 0x1p-24, [] { return MakeOneDnnBackend({.lane_threads = 2}); }},
      {"cuda_emulated", 1, 0x1p-24, [] { return cuda::MakeEmulatedBackend(); }},
      {"cuda_emulated_bf16", 1, 0x1p-8, [] { return cuda::MakeEmulatedBackend(); }, DType::kBF16},
  };
  return backends;
}

}  // namespace lockstep::conformance
