#include "launch/job/assemble_kit.h"

#include <utility>

#include "base/emulated_device.h"
#include "trainer/kernels/cuda/cuda_backend.h"
#include "trainer/kernels/cuda/gradient_kernels.h"

namespace lockstep::launch {

std::unique_ptr<step::DeviceKit> AssembleKit(std::unique_ptr<Device> device,
                                             std::shared_ptr<cuda::DenseLibrary> library) {
  auto kit = std::make_unique<step::DeviceKit>();
  kit->device = std::move(device);
  kit->stream = kit->device->MakeStream();
  kit->version = library->version();
  kit->backend = MakeCudaBackend(*library, *kit->stream);
  kit->library = std::move(library);
  kit->kernels = cuda::MakeGradientKernels();
  return kit;
}

std::unique_ptr<step::DeviceKit> PlanningKit(size_t memory) {
  return AssembleKit(MakeEmulatedDevice(memory), cuda::MakePlanningLibrary());
}

}  // namespace lockstep::launch
