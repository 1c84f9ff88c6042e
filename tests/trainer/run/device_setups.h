// Jobs on emulated devices.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "tests/trainer/run/emulated_kit.h"
#include "tests/trainer/run/stream_transport.h"
#include "tests/trainer/run/train_world.h"

namespace lockstep::run {

inline constexpr char kWide[] = "mlp { hidden: 300 hidden: 40 }";  // five chunks of parameters

inline TrainSetup OnDevices(TrainSetup setup) {
  setup.change = [then = std::move(setup.change)](Job& job) {
    UseKit(job, MakeEmulatedKit());
    if (then) then(job);
  };
  return setup;
}

/// The same with a device of its own for each rank, and exchanges that the host does not wait for. For one run.
inline TrainSetup OnConnectedDevices(TrainSetup setup) {
  auto mail = std::make_shared<StreamMail>();
  setup.change = [mail, then = std::move(setup.change)](Job& job) {
    const int rank = job.place.comm->rank();
    auto kit = MakeEmulatedKit(MakeEmulatedDevice(size_t{1} << 40, "EMULATED-" + std::to_string(rank)));
    kit->connect = [=](comm::Communicator&, lockstep::Device&) { return MakeStreamTransport(mail, rank); };
    UseKit(job, std::move(kit));
    if (then) then(job);
  };
  return setup;
}

}  // namespace lockstep::run
