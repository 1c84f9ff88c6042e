// Device memory between ranks by NCCL: grouped sends and receives, in stream order, without the host. NCCL only carries
// bytes: it never adds, since the order of its sums depends on the number of ranks.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/device/device_transport.h"

namespace lockstep::comm {

/// Collective; every rank has a device of its own. Waits on the communicator (deadline, aborts of others) until all are
/// connected. Throws Error(kPeer) where they can't be. Both outlive the transport.
std::unique_ptr<DeviceTransport> MakeNcclTransport(Communicator& comm, Device& device);

/// "NCCL 2.28.9".
std::string NcclVersion();

}  // namespace lockstep::comm
