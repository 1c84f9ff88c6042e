// Where a rank computes, and with whom.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.h"
#include "trainer/engine/backend.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::step {

struct Place {
  comm::Communicator* comm = nullptr;
  std::shared_ptr<DeviceKit> device;         ///< null: the host's cores
  std::shared_ptr<engine::Backend> backend;  ///< the device's, where there is one
  std::string backend_version;               ///< of the library behind it: part of the numerics fingerprint
  int executors = 0;                         ///< as given on the command line; 0: by cores
};

}  // namespace lockstep::step
