// One GPU (or what plays one in tests) as training drives it: put together by launch, from the library that has the GPU
// backend.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/device.h"
#include "comm/communicator.h"
#include "comm/device/device_transport.h"
#include "trainer/engine/backend.h"
#include "trainer/optim/gradient_kernels.h"

namespace lockstep::step {

struct DeviceKit {
  std::unique_ptr<lockstep::Device> device;
  std::unique_ptr<DeviceStream> stream;      ///< on which the backend's kernels work
  std::shared_ptr<void> library;             ///< whatever the backend's kernels come from
  std::shared_ptr<engine::Backend> backend;  ///< uses the three above
  std::unique_ptr<optim::GradientKernels> kernels;
  int visible = 1;      ///< devices that this process sees
  std::string version;  ///< of the libraries: part of the numerics fingerprint
  /// Collective: connects this rank's device with the others', each of which is its rank's alone. Null: only the host
  /// can.
  std::function<std::unique_ptr<comm::DeviceTransport>(comm::Communicator& comm, lockstep::Device& device)> connect;
};

}  // namespace lockstep::step
