#include "tests/trainer/kernels/reference_backend.h"

#include <algorithm>
#include <cstring>

#include "tests/trainer/kernels/op_runner.h"
#include "trainer/kernels/reference/reference.h"

namespace lockstep::conformance {
namespace {

using reference::Tensor;

size_t BytesOf(const graph::Value& value) { return static_cast<size_t>(value.shape.size() * SizeOf(value.dtype)); }

class ReferenceKernel final : public engine::Kernel {
 public:
  ReferenceKernel(const graph::Graph& graph, const graph::Op& op, const engine::Operands& operands,
                  Misbehaviour misbehaviour, const void* first_address)
      : graph_(graph), op_(op), operands_(operands), misbehaviour_(misbehaviour), first_address_(first_address) {}

  void Run() override {
    std::vector<Tensor> tensors(op_.inputs.size());
    std::vector<const Tensor*> inputs;
    graph::StepBlock step_block;
    for (size_t i = 0; i < tensors.size(); ++i) {
      inputs.push_back(&tensors[i]);
      if (op_.inputs[i] == graph::kNoValue) continue;
      const graph::Value& value = graph_.value(op_.inputs[i]);
      const auto bytes = std::span(static_cast<const std::byte*>(operands_.inputs[i]), BytesOf(value));
      if (value.role == graph::Role::kStepBlock) {
        std::memcpy(&step_block, bytes.data(), sizeof(step_block));
      } else {
        tensors[i] = {value.shape, Decode(value.dtype, bytes), {}, 1};
      }
    }
    const std::vector<Tensor> outputs = reference::RunOp(graph_, op_, inputs, step_block);
    for (size_t i = 0; i < op_.outputs.size(); ++i) {
      if (op_.outputs[i] == graph::kNoValue) continue;
      Encode(outputs[i], graph_.value(op_.outputs[i]).dtype, static_cast<std::byte*>(operands_.outputs[i]));
    }
    Misbehave();
  }

 private:
  void Misbehave() {
    if (misbehaviour_ == Misbehaviour::kNone) return;
    const auto wanted = std::find_if(op_.outputs.begin(), op_.outputs.end(),
                                     [](graph::ValueId output) { return output != graph::kNoValue; });
    auto* output = static_cast<std::byte*>(operands_.outputs[static_cast<size_t>(wanted - op_.outputs.begin())]);
    const size_t size = BytesOf(graph_.value(*wanted));
    auto* input = static_cast<std::byte*>(const_cast<void*>(operands_.inputs[0]));
    switch (misbehaviour_) {
      case Misbehaviour::kNone:
        break;
      case Misbehaviour::kWritesBehindOutput:
        output[size] = std::byte{0};
        break;
      case Misbehaviour::kWritesBeforeOutput:
        output[-1] = std::byte{0};
        break;
      case Misbehaviour::kChangesInput:
        input[0] ^= std::byte{1};
        break;
      case Misbehaviour::kLeavesElementOut:
        std::memset(output + size - sizeof(float), 0xFF, sizeof(float));
        break;
      case Misbehaviour::kDependsOnAddress:
        output[0] ^= static_cast<std::byte>(input == first_address_ ? 0 : 1);
        break;
      case Misbehaviour::kDependsOnHistory:
        output[0] ^= static_cast<std::byte>(++runs_ & 1);
        break;
      case Misbehaviour::kTrustsWorkspace:
        std::memcpy(output, operands_.workspace, sizeof(float));
        break;
    }
  }

  const graph::Graph& graph_;
  const graph::Op& op_;
  const engine::Operands operands_;
  const Misbehaviour misbehaviour_;
  const void* const first_address_;
  int runs_ = 0;
};

class ReferenceBackend final : public engine::Backend {
 public:
  explicit ReferenceBackend(Misbehaviour misbehaviour) : misbehaviour_(misbehaviour) {}

  std::string_view name() const override { return "reference"; }
  bool Supports(graph::OpKind) const override { return true; }
  size_t WorkspaceBytes(const graph::Graph&, const graph::Op&) override { return sizeof(float); }
  size_t PackedBytes(const graph::Graph&, const graph::Op&, int, int) override { return 0; }
  std::unique_ptr<engine::Kernel> PreparePack(const graph::Graph&, const graph::Op&, int, const void*, void*) override {
    return nullptr;
  }
  std::unique_ptr<engine::Kernel> Prepare(const graph::Graph& graph, const graph::Op& op,
                                          const engine::Operands& operands) override {
    if (first_address_ == nullptr && !operands.inputs.empty()) first_address_ = operands.inputs[0];
    return std::make_unique<ReferenceKernel>(graph, op, operands, misbehaviour_, first_address_);
  }

 private:
  const Misbehaviour misbehaviour_;
  const void* first_address_ = nullptr;
};

}  // namespace

std::unique_ptr<engine::Backend> MakeReferenceBackend(Misbehaviour misbehaviour) {
  return std::make_unique<ReferenceBackend>(misbehaviour);
}

}  // namespace lockstep::conformance
