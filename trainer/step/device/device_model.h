// A model in one device's memory: the exchange, whose arena the weights lie in, the lanes' programs that read them
// there, the stream of exchanges and updates, and the host's view of the weights, which is this rank's alone.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/device.h"
#include "comm/device/device_exchange.h"
#include "trainer/step/compute.h"
#include "trainer/step/device/device_kit.h"
#include "trainer/step/device/device_lanes.h"

namespace lockstep::step {

class DeviceModel {
 public:
  /// Collective. `parts` has one executor, the thread that enqueues lanes, and place.device is not null.
  explicit DeviceModel(const ComputeParts& parts);
  ~DeviceModel() { Stop(); }
  DeviceModel(const DeviceModel&) = delete;
  DeviceModel& operator=(const DeviceModel&) = delete;

  DeviceKit& kit() { return kit_; }
  comm::DeviceTransport& transport() { return *transport_; }
  comm::DeviceExchange& exchange() { return exchange_; }
  const comm::DeviceExchange& exchange() const { return exchange_; }
  DeviceStream& stream() { return *stream_; }
  DeviceEvent& done() { return *done_; }
  DeviceLanes& lanes() { return *lanes_; }
  /// Pinned.
  std::span<float> view() { return {view_->As<float>(), view_->size() / sizeof(float)}; }

  /// Enqueues the copy of all weights to the view.
  void CopyWeightsToView() { stream_->Copy(view_->data(), exchange_.weights(), view_->size()); }
  /// Enqueues the copy of the view's owned slices to the device, and their way to the other ranks. Collective.
  void ShareOwnedOfView();
  /// Ends what is enqueued, in whatever state the device and the other ranks are: for a destructor whose memory it
  /// uses.
  void Stop() noexcept;
  /// Records `done` behind what is enqueued, and waits for it; `what` is named where that takes too long.
  void AwaitStream(const std::string& what);

 private:
  comm::Communicator& comm_;
  DeviceKit& kit_;
  std::unique_ptr<comm::DeviceTransport> transport_;
  comm::DeviceExchange exchange_;
  std::unique_ptr<DeviceStream> stream_;
  std::unique_ptr<DeviceEvent> done_;
  std::unique_ptr<DeviceMemory> view_;
  std::unique_ptr<DeviceLanes> lanes_;
  bool stopped_ = false;
};

}  // namespace lockstep::step
