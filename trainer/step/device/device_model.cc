#include "trainer/step/device/device_model.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/machine/infiniband.h"
#include "comm/agreement.h"
#include "comm/device/staged_transport.h"
#include "trainer/plan/device_placement.h"
#include "trainer/step/run_on_executors.h"

namespace lockstep::step {
namespace {

/// Sockets beside a card that could do better.
void WarnOfNetwork(const comm::Communicator& comm, const comm::DeviceTransport& transport) {
  if (transport.network() != "Socket" || comm.topology().hosts.size() == 1) return;
  for (const InfinibandPort& port : InfinibandPorts())
    if (port.state == "ACTIVE") {
      LogWarning(
          "gradients travel through sockets, though {} is an active InfiniBand card: is its user-space driver "
          "(libibverbs) here, and NCCL_IB_DISABLE or NCCL_NET not set?",
          port.card);
      return;
    }
}

/// Of a rank that is alone: nothing travels, so nobody waits.
class LoneTransport final : public comm::DeviceTransport {
 public:
  void Exchange(DeviceStream&, std::span<const Part> sends, std::span<const Part> receives,
                const std::string& what) override {
    CHECK(sends.empty() && receives.empty(), "{}: there is no other rank", what);
  }
  bool waits() const override { return false; }
  void Poll() override {}
  void Abort() override {}
  std::string description() const override { return "none"; }
};

std::unique_ptr<comm::DeviceTransport> ConnectDevices(comm::Communicator& comm, DeviceKit& kit) {
  if (comm.world_size() == 1) return std::make_unique<LoneTransport>();
  if (!kit.connect) return comm::MakeStagedTransport(comm, *kit.device);
  std::vector<plan::RankDevice> devices;
  for (const std::string& uuid : comm::GatherStrings(comm, kit.device->info().uuid, "the comparison of devices"))
    devices.emplace_back().uuid = uuid;
  auto transport =
      plan::SharesDevices(devices) ? comm::MakeStagedTransport(comm, *kit.device) : kit.connect(comm, *kit.device);
  if (comm.rank() == 0) {
    LogNote("gradients between GPUs: {}", transport->description());
    WarnOfNetwork(comm, *transport);
  }
  return transport;
}

}  // namespace

DeviceModel::DeviceModel(const ComputeParts& parts)
    : comm_(parts.executors.comm()),
      kit_(*parts.place.device),
      transport_(ConnectDevices(comm_, kit_)),
      exchange_(comm_, *kit_.device, *transport_,
                plan::MakeExchangeOptions(parts.config.train, parts.plans, parts.executors.plan())),
      stream_(kit_.device->MakeStream()),
      done_(kit_.device->MakeEvent()),
      view_(kit_.device->AllocatePinned(static_cast<size_t>(parts.plans.layout.elements()) * sizeof(float))) {
  RunOnExecutors(comm_, parts.executors.pool(), "the preparation of kernels", [&](int) {
    kit_.device->UseOnThisThread();
    lanes_ = std::make_unique<DeviceLanes>(kit_, parts.plans, exchange_, &comm_.recorder(),
                                           parts.executors.runs().front(), parts.config.train);
  });
}

void DeviceModel::Stop() noexcept {
  if (std::exchange(stopped_, true)) return;
  transport_->Abort();
  try {
    stream_->Synchronize();
  } catch (const std::exception&) {
    // The device has failed: nothing runs any more.
  }
}

void DeviceModel::ShareOwnedOfView() {
  for (int bucket = 0; bucket < exchange_.slices().buckets(); ++bucket) {
    const ElementRange range = exchange_.slices().slice(bucket, comm_.rank());
    stream_->Copy(exchange_.weights() + range.begin, view().data() + range.begin,
                  static_cast<size_t>(range.size()) * sizeof(float));
    exchange_.Share(*stream_, bucket);
  }
}

void DeviceModel::AwaitStream(const std::string& what) {
  stream_->Record(*done_);
  comm_.WaitUntil([&] { return done_->Done(); }, what);
}

}  // namespace lockstep::step
