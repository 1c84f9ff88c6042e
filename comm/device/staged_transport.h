// Device memory between ranks by way of the host: down to pinned memory, over the communicator, up again. For ranks
// that share a GPU (NCCL refuses those) and for machines without NCCL. Blocks until everything has arrived.
#pragma once

#include <memory>

#include "comm/communicator.h"
#include "comm/device/device_transport.h"

namespace lockstep::comm {

/// Both outlive the transport.
std::unique_ptr<DeviceTransport> MakeStagedTransport(Communicator& comm, Device& device);

}  // namespace lockstep::comm
