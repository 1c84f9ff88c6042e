#include "launch/cuda_module.h"

#include <fmt/format.h>

#include "base/build_info.h"
#include "base/cuda/cuda_device.h"
#include "base/emulated_device.h"
#include "comm/nccl/nccl_transport.h"
#include "trainer/kernels/cuda/cuda_backend.h"
#include "trainer/kernels/cuda/gradient_kernels.h"

namespace lockstep::launch {
namespace {

std::unique_ptr<loop::DeviceKit> Open(int ordinal, bool tf32) {
  auto kit = std::make_unique<loop::DeviceKit>();
  kit->device = OpenCudaDevice(ordinal);
  kit->stream = kit->device->MakeStream();
  std::shared_ptr<cuda::DenseLibrary> library =
      cuda::MakeVendorLibrary(kit->device->info(), tf32 ? cuda::FloatMath::kTF32 : cuda::FloatMath::kF32);
  kit->version = library->version();
  kit->backend = MakeCudaBackend(*library, *kit->stream);
  kit->library = std::move(library);
  kit->kernels = cuda::MakeGradientKernels();
  kit->connect = comm::MakeNcclTransport;
  return kit;
}

std::unique_ptr<loop::DeviceKit> Plan(size_t memory) {
  auto kit = std::make_unique<loop::DeviceKit>();
  kit->device = MakeEmulatedDevice(memory);
  kit->stream = kit->device->MakeStream();
  std::shared_ptr<cuda::DenseLibrary> library = cuda::MakePlanningLibrary();
  kit->version = library->version();
  kit->backend = MakeCudaBackend(*library, *kit->stream);
  kit->library = std::move(library);
  return kit;
}

}  // namespace

extern "C" const CudaModule& LockstepCudaModule() {
  static const CudaModule module = {std::string(BuildHash()),
                                    fmt::format("{}, {}, {}", CudaVersion(), cuda::VendorVersions(), comm::NcclVersion()),
                                    ListCudaDevices, Open, Plan};
  return module;
}

}  // namespace lockstep::launch
