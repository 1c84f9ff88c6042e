#include "tests/trainer/loop/emulated_kit.h"

#include "tests/trainer/kernels/cuda/loop_library.h"
#include "trainer/kernels/cuda/cuda_backend.h"
#include "trainer/kernels/cuda/gradient_kernels.h"

namespace lockstep::loop {

std::shared_ptr<DeviceKit> MakeEmulatedKit(std::unique_ptr<lockstep::Device> device) {
  auto kit = std::make_shared<DeviceKit>();
  kit->device = std::move(device);
  kit->stream = kit->device->MakeStream();
  std::shared_ptr<cuda::DenseLibrary> library = cuda::MakeLoopLibrary();
  kit->version = library->version();
  kit->backend = MakeCudaBackend(*library, *kit->stream);
  kit->library = std::move(library);
  kit->kernels = cuda::MakeGradientKernels();
  return kit;
}

void UseKit(Job& job, std::shared_ptr<DeviceKit> kit) {
  job.backend = kit->backend;
  job.backend_version = kit->version;
  job.train.set_device(loop::Device::GPU);
  job.device = std::move(kit);
}

}  // namespace lockstep::loop
