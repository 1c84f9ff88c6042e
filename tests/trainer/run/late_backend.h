// A backend on an emulated device whose kernels each begin late, on their stream: what does not wait for them goes
// ahead of them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "base/emulated_device.h"
#include "tests/trainer/engine/forwarding_backend.h"
#include "trainer/engine/op_view.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::run {

class LateBackend final : public engine::ForwardingBackend {
 public:
  /// `before` runs on `stream` in front of each kernel of a program; it is told how many were prepared before that one.
  using Before = std::function<void(int kernel)>;
  LateBackend(std::shared_ptr<engine::Backend> inner, DeviceStream& stream, Before before)
      : inner_(std::move(inner)), stream_(static_cast<EmulatedStream&>(stream)), before_(std::move(before)) {}

  std::unique_ptr<engine::Kernel> Prepare(const graph::Graph& graph, const graph::Op& op,
                                          const engine::Operands& operands) override {
    return engine::MakeKernel([kernel = inner_->Prepare(graph, op, operands), number = prepared_++, this] {
      stream_.Enqueue([this, number] { before_(number); });
      kernel->Run();
    });
  }

 private:
  engine::Backend& inner() const override { return *inner_; }

  std::shared_ptr<engine::Backend> inner_;
  EmulatedStream& stream_;
  const Before before_;
  int prepared_ = 0;
};

/// For jobs on `kit`, whose backend it takes over; by default each kernel is a tenth of a millisecond late.
inline std::shared_ptr<engine::Backend> MakeLateBackend(
    step::DeviceKit& kit,
    LateBackend::Before before = [](int) { std::this_thread::sleep_for(std::chrono::microseconds(100)); }) {
  return std::make_shared<LateBackend>(kit.backend, *kit.stream, std::move(before));
}

}  // namespace lockstep::run
