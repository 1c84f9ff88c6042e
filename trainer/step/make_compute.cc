#include "trainer/step/make_compute.h"

#include <utility>

#include "trainer/step/device/device_compute.h"
#include "trainer/step/device/device_forward.h"
#include "trainer/step/device/device_kit.h"
#include "trainer/step/host_compute.h"
#include "trainer/step/host_forward.h"

namespace lockstep::step {

OwnedState::Allocate ViewMemoryOf(const Place& place) {
  if (!place.device) return [](size_t bytes) { return Buffer(bytes); };
  return [kit = place.device](size_t bytes) {
    std::shared_ptr<DeviceMemory> memory = kit->device->AllocatePinned(bytes);
    const std::span<std::byte> all = memory->bytes();
    return Buffer(all, std::move(memory));
  };
}

std::unique_ptr<Compute> MakeCompute(const ComputeParts& parts, const optim::Optimizer& optimizer, OwnedState& state) {
  if (parts.place.device) return std::make_unique<DeviceCompute>(parts, optimizer, state);
  return std::make_unique<HostCompute>(parts, optimizer, state);
}

std::unique_ptr<ForwardCompute> MakeForwardCompute(const ComputeParts& parts) {
  if (parts.place.device) return std::make_unique<DeviceForward>(parts);
  return std::make_unique<HostForward>(parts);
}

}  // namespace lockstep::step
