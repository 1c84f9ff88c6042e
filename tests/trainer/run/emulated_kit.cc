#include "tests/trainer/run/emulated_kit.h"

#include <utility>

#include "launch/job/assemble_kit.h"
#include "tests/trainer/kernels/cuda/loop_library.h"

namespace lockstep::run {

std::shared_ptr<step::DeviceKit> MakeEmulatedKit(std::unique_ptr<lockstep::Device> device) {
  return launch::AssembleKit(std::move(device), cuda::MakeLoopLibrary());
}

void UseKit(Job& job, std::shared_ptr<step::DeviceKit> kit) {
  job.place.backend = kit->backend;
  job.place.backend_version = kit->version;
  job.config.train.set_device(plan::Device::GPU);
  job.place.device = std::move(kit);
}

}  // namespace lockstep::run
