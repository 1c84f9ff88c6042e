#include "tests/trainer/loop/emulated_kit.h"

#include <utility>

#include "launch/assemble_kit.h"
#include "tests/trainer/kernels/cuda/loop_library.h"

namespace lockstep::loop {

std::shared_ptr<DeviceKit> MakeEmulatedKit(std::unique_ptr<lockstep::Device> device) {
  return launch::AssembleKit(std::move(device), cuda::MakeLoopLibrary());
}

void UseKit(Job& job, std::shared_ptr<DeviceKit> kit) {
  job.backend = kit->backend;
  job.backend_version = kit->version;
  job.train.set_device(loop::Device::GPU);
  job.device = std::move(kit);
}

}  // namespace lockstep::loop
