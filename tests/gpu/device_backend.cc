#include "tests/gpu/device_backend.h"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "tests/trainer/engine/forwarding_backend.h"

namespace lockstep::gpu {
namespace {

using engine::Kernel;
using graph::Graph;
using graph::Op;

constexpr size_t kGuard = kBufferAlignment;  // GuardedBuffer has as much on either side

size_t BytesOf(const Graph& graph, graph::ValueId id) { return static_cast<size_t>(graph.value(id).bytes()); }

/// Copies of host memory on the device, by the host's addresses; at the same distance from a multiple of
/// kBufferAlignment, so that a kernel sees the alignment that the harness chose.
class Mirrors {
 public:
  explicit Mirrors(Device& device) : device_(device) {}

  /// Where the `bytes` at `host` lie on the device. The same address again (an op in place): the same copy.
  std::byte* Add(const void* host, size_t bytes) {
    if (host == nullptr) return nullptr;
    auto* const first = const_cast<std::byte*>(static_cast<const std::byte*>(host));
    if (const auto found = mirrors_.find(first); found != mirrors_.end()) return found->second.at;
    Mirror& mirror = mirrors_[first];
    mirror.bytes = bytes;
    mirror.memory = device_.Allocate(bytes + 2 * kGuard + 2 * kBufferAlignment, "a test's operand");
    const auto begin = reinterpret_cast<uintptr_t>(mirror.memory->data()) + kGuard;
    const uintptr_t offset = reinterpret_cast<uintptr_t>(host) % kBufferAlignment;
    mirror.at = reinterpret_cast<std::byte*>(AlignUp(begin, kBufferAlignment) + offset);
    return mirror.at;
  }
  void CopyUp(DeviceStream& stream) const {
    for (const auto& [host, mirror] : mirrors_)
      stream.Copy(mirror.at - kGuard, host - kGuard, mirror.bytes + 2 * kGuard);
  }
  void CopyDown(DeviceStream& stream) const {
    for (const auto& [host, mirror] : mirrors_)
      stream.Copy(host - kGuard, mirror.at - kGuard, mirror.bytes + 2 * kGuard);
    stream.Synchronize();
  }

 private:
  struct Mirror {
    size_t bytes = 0;
    std::unique_ptr<DeviceMemory> memory;
    std::byte* at = nullptr;
  };

  Device& device_;
  std::map<std::byte*, Mirror> mirrors_;
};

class MirroredKernel final : public Kernel {
 public:
  MirroredKernel(DeviceStream& stream, Execution execution, Mirrors mirrors, std::unique_ptr<Kernel> kernel)
      : stream_(stream), execution_(execution), mirrors_(std::move(mirrors)), kernel_(std::move(kernel)) {}

  void Run() override {
    if (execution_ == Execution::kCaptured && captured_ == nullptr) Capture();
    mirrors_.CopyUp(stream_);
    if (captured_ != nullptr)
      stream_.Run(*captured_);
    else
      kernel_->Run();
    mirrors_.CopyDown(stream_);
  }

 private:
  void Capture() {
    mirrors_.CopyUp(stream_);
    kernel_->Run();  // libraries load kernels when they first run, which captured work can't
    stream_.Synchronize();
    stream_.BeginCapture();
    kernel_->Run();
    captured_ = stream_.EndCapture();
  }

  DeviceStream& stream_;
  const Execution execution_;
  Mirrors mirrors_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<DeviceGraph> captured_;
};

class DeviceBackend final : public engine::ForwardingBackend {
 public:
  DeviceBackend(step::DeviceKit& kit, Execution execution) : kit_(kit), execution_(execution) {
    kit.device->UseOnThisThread();
  }

  std::unique_ptr<Kernel> PreparePack(const Graph& graph, const Op& op, int input, const void* plain,
                                      void* packed) override {
    Mirrors mirrors(*kit_.device);
    const void* from = mirrors.Add(plain, BytesOf(graph, op.inputs[static_cast<size_t>(input)]));
    void* to = mirrors.Add(packed, PackedBytes(graph, op, input, 1));
    return Mirrored(std::move(mirrors), kit_.backend->PreparePack(graph, op, input, from, to));
  }

  std::unique_ptr<Kernel> Prepare(const Graph& graph, const Op& op, const engine::Operands& operands) override {
    Mirrors mirrors(*kit_.device);
    engine::Operands there = operands;
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      if (op.inputs[i] == graph::kNoValue) continue;
      there.inputs[i] = mirrors.Add(operands.inputs[i], BytesOf(graph, op.inputs[i]));
      if (operands.packed[i] != nullptr)
        there.packed[i] = mirrors.Add(operands.packed[i], PackedBytes(graph, op, static_cast<int>(i), 1));
    }
    for (size_t i = 0; i < op.outputs.size(); ++i)
      if (op.outputs[i] != graph::kNoValue)
        there.outputs[i] = mirrors.Add(operands.outputs[i], BytesOf(graph, op.outputs[i]));
    there.workspace = mirrors.Add(operands.workspace, WorkspaceBytes(graph, op));
    return Mirrored(std::move(mirrors), kit_.backend->Prepare(graph, op, there));
  }

 private:
  engine::Backend& inner() const override { return *kit_.backend; }
  std::unique_ptr<Kernel> Mirrored(Mirrors mirrors, std::unique_ptr<Kernel> kernel) {
    return std::make_unique<MirroredKernel>(*kit_.stream, execution_, std::move(mirrors), std::move(kernel));
  }

  step::DeviceKit& kit_;
  const Execution execution_;
};

}  // namespace

std::unique_ptr<engine::Backend> MakeDeviceBackend(step::DeviceKit& kit, Execution execution) {
  return std::make_unique<DeviceBackend>(kit, execution);
}

}  // namespace lockstep::gpu
