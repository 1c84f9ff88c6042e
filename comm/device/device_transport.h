// How pieces of device memory travel between ranks: one interface, with NCCL behind it where every rank has a GPU of
// its own (nccl/), and MPI through pinned memory elsewhere (staged_transport.h).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/device.h"

namespace lockstep::comm {

class DeviceTransport {
 public:
  /// Memory of the device, to or from another rank. Between two ranks, messages of one direction match by order.
  struct Part {
    int rank = 0;
    std::byte* data = nullptr;
    size_t bytes = 0;
  };

  virtual ~DeviceTransport() = default;

  /// Sends and receives all parts, after the work that is on `stream`; what is enqueued there later sees what was
  /// received. May return before anything moved (see waits). Collective in this: all ranks that have parts for each
  /// other call it in the same order. `what` is named where it fails or hangs.
  virtual void Exchange(DeviceStream& stream, std::span<const Part> sends, std::span<const Part> receives,
                        const std::string& what) = 0;
  /// Whether Exchange returns only when everything has arrived.
  virtual bool waits() const = 0;
  /// Throws where an exchange that returned early has failed since.
  virtual void Poll() = 0;
  /// Ends what is under way, whose data are lost; nothing may follow. Else work that waits for a rank that is gone
  /// would never end.
  virtual void Abort() = 0;
  /// "NCCL 2.28.9: P2P/CUMEM", "MPI through pinned memory".
  virtual std::string description() const = 0;
  /// The network between hosts, as the transport calls it ("IB", "Socket"); "" where it uses none or does not say.
  virtual std::string network() const { return ""; }
};

}  // namespace lockstep::comm
