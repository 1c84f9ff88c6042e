#include "launch/job/cuda_module.h"

#include <fmt/format.h>

#include <utility>

#include "base/build_info.h"
#include "base/cuda/cuda_device.h"
#include "comm/nccl/nccl_transport.h"
#include "launch/job/assemble_kit.h"
#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::launch {
namespace {

std::unique_ptr<step::DeviceKit> Open(int ordinal, bool tf32) {
  std::unique_ptr<Device> device = OpenCudaDevice(ordinal);
  auto library = cuda::MakeVendorLibrary(device->info(), tf32 ? cuda::FloatMath::kTF32 : cuda::FloatMath::kF32);
  std::unique_ptr<step::DeviceKit> kit = AssembleKit(std::move(device), std::move(library));
  kit->connect = comm::MakeNcclTransport;
  return kit;
}

}  // namespace

extern "C" const CudaModule& LockstepCudaModule() {
  static const CudaModule module = {
      std::string(BuildHash()), fmt::format("{}, {}, {}", CudaVersion(), cuda::VendorVersions(), comm::NcclVersion()),
      ListCudaDevices, Open, PlanningKit};
  return module;
}

}  // namespace lockstep::launch
