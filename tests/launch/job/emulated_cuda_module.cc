// The library with the GPU backend, with an emulated device in the GPU's place: `lockstep train` with
// LOCKSTEP_CUDA_LIBRARY set to it goes the whole way of training on GPUs, on machines that have none.
//
// LOCKSTEP_EMULATED_GPUS: how many there are (default: 1). LOCKSTEP_EMULATED_MEMORY: of each, in bytes.
#include <cstdlib>

#include "base/build_info.h"
#include "base/emulated_device.h"
#include "launch/job/assemble_kit.h"
#include "launch/job/cuda_module.h"
#include "tests/trainer/kernels/cuda/loop_library.h"

namespace lockstep::launch {
namespace {

int64_t Setting(const char* name, int64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoll(value);
}

std::unique_ptr<Device> MakeDevice() {
  return MakeEmulatedDevice(static_cast<size_t>(Setting("LOCKSTEP_EMULATED_MEMORY", int64_t{1} << 40)));
}

std::vector<DeviceInfo> List() {
  std::vector<DeviceInfo> devices;
  for (int ordinal = 0; ordinal < Setting("LOCKSTEP_EMULATED_GPUS", 1); ++ordinal) {
    devices.push_back(MakeDevice()->info());
    devices.back().ordinal = ordinal;
  }
  return devices;
}

std::unique_ptr<step::DeviceKit> Open(int, bool) { return AssembleKit(MakeDevice(), cuda::MakeLoopLibrary()); }

}  // namespace

extern "C" const CudaModule& LockstepCudaModule() {
  static const CudaModule module = {std::string(BuildHash()), "emulated", List, Open, PlanningKit};
  return module;
}

}  // namespace lockstep::launch
