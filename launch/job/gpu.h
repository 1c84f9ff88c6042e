// GPUs of this machine: the library with the GPU backend, loaded when one is wanted, and the device that a rank takes.
// Without the library, a driver or a device everything else works all the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/device.h"
#include "comm/communicator.h"
#include "launch/job/cuda_module.h"
#include "launch/recipe/recipe.h"
#include "launch/recipe/resolve_recipe.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::launch {

/// What this process can see of GPUs.
struct GpuView {
  const CudaModule* module = nullptr;  ///< null: the library is missing
  std::vector<DeviceInfo> devices;
  std::string why_none;  ///< where there is no device: what is missing, and what to do
};

/// Looks once per process; the first call loads the library ($LOCKSTEP_CUDA_LIBRARY, or the one beside the program or
/// in ../lib/lockstep). Never throws.
const GpuView& ViewGpus();

/// What resolving `recipe` needs to know. The library, which takes a fifth of a second and 200 MiB, is loaded only
/// where the recipe may get a GPU: it doesn't say CPU, and there is a driver (or $LOCKSTEP_CUDA_LIBRARY).
GpuFacts FactsOfGpus(const Recipe& recipe);

/// The device of this rank: its number among the ranks of its host, modulo the devices that it sees. Throws
/// Error(kUsage) where there is none.
std::unique_ptr<step::DeviceKit> OpenGpu(const comm::Topology& topology, bool tf32);

/// A GPU of `memory` bytes that is not here: programs are compiled for it, none can run. Throws Error(kUsage) where the
/// library is missing.
std::unique_ptr<step::DeviceKit> PlanGpu(size_t memory);

}  // namespace lockstep::launch
