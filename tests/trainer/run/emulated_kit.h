// A rank's GPU, played by threads: for jobs that train on a device where there is none.
#pragma once

#include <memory>

#include "base/device.h"
#include "base/emulated_device.h"
#include "trainer/run/job.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::run {

/// The GPU backend and its gradient kernels on `device`, which is emulated or hands out an emulated one's streams;
/// loops in place of its libraries. Gradients go through the host.
std::shared_ptr<step::DeviceKit> MakeEmulatedKit(std::unique_ptr<lockstep::Device> device = MakeEmulatedDevice());

/// Makes `job` one for `kit`.
void UseKit(Job& job, std::shared_ptr<step::DeviceKit> kit);

}  // namespace lockstep::run
