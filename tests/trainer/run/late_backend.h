// A backend on an emulated device whose kernels each begin late, on their stream: what does not wait for them goes
// ahead of them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "base/emulated_device.h"
#include "trainer/engine/op_view.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::run {

class LateBackend final : public engine::Backend {
 public:
  /// `before` runs on `stream` in front of each kernel of a program.
  LateBackend(std::shared_ptr<engine::Backend> inner, DeviceStream& stream, std::function<void()> before)
      : inner_(std::move(inner)), stream_(static_cast<EmulatedStream&>(stream)), before_(std::move(before)) {}

  std::string_view name() const override { return inner_->name(); }
  bool Supports(graph::OpKind kind) const override { return inner_->Supports(kind); }
  int64_t RowAlignment() const override { return inner_->RowAlignment(); }
  size_t WorkspaceBytes(const graph::Graph& graph, const graph::Op& op) override {
    return inner_->WorkspaceBytes(graph, op);
  }
  size_t PackedBytes(const graph::Graph& graph, const graph::Op& op, int input, int runs) override {
    return inner_->PackedBytes(graph, op, input, runs);
  }
  int PackedLayout(const graph::Graph& graph, const graph::Op& op, int input) override {
    return inner_->PackedLayout(graph, op, input);
  }
  std::unique_ptr<engine::Kernel> PreparePack(const graph::Graph& graph, const graph::Op& op, int input,
                                              const void* plain, void* packed) override {
    return inner_->PreparePack(graph, op, input, plain, packed);
  }
  std::unique_ptr<engine::Kernel> Prepare(const graph::Graph& graph, const graph::Op& op,
                                          const engine::Operands& operands) override {
    return engine::MakeKernel([kernel = inner_->Prepare(graph, op, operands), this] {
      stream_.Enqueue(before_);
      kernel->Run();
    });
  }

 private:
  std::shared_ptr<engine::Backend> inner_;
  EmulatedStream& stream_;
  const std::function<void()> before_;
};

/// For jobs on `kit`, whose backend it takes over; by default each kernel is a tenth of a millisecond late.
inline std::shared_ptr<engine::Backend> MakeLateBackend(
    step::DeviceKit& kit,
    std::function<void()> before = [] { std::this_thread::sleep_for(std::chrono::microseconds(100)); }) {
  return std::make_shared<LateBackend>(kit.backend, *kit.stream, std::move(before));
}

}  // namespace lockstep::run
