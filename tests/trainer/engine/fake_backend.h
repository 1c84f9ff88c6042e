// A backend that computes nothing and remembers everything.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "trainer/engine/backend.h"
#include "trainer/engine/program.h"

namespace lockstep::engine {

class FakeBackend final : public Backend {
 public:
  struct Prepared {
    std::string name;
    Operands operands;
  };

  std::string_view name() const override { return "fake"; }
  bool Supports(graph::OpKind kind) const override { return !unsupported.contains(kind); }
  size_t WorkspaceBytes(const graph::Graph&, const graph::Op& op) override {
    return op.kind == graph::OpKind::kLinear ? 1000 : 10;
  }
  size_t PackedBytes(const graph::Graph& graph, const graph::Op& op, int input, int /*runs*/) override {
    const bool reads_weight =
        op.kind == graph::OpKind::kLinear || (shares && op.kind == graph::OpKind::kLinearInputGrad);
    if (!packs || !reads_weight || input != 1) return 0;
    return static_cast<size_t>(graph.value(op.inputs[1]).shape.size()) * sizeof(float);
  }
  int PackedLayout(const graph::Graph&, const graph::Op&, int) override { return shares ? 0 : -1; }
  std::unique_ptr<Kernel> PreparePack(const graph::Graph&, const graph::Op& op, int input, const void* plain,
                                      void* packed) override {
    packings.emplace_back(plain, packed);
    return std::make_unique<Recorder>(this, "pack " + op.name + (input == 1 ? "" : " of another input"));
  }
  std::unique_ptr<Kernel> Prepare(const graph::Graph&, const graph::Op& op, const Operands& operands) override {
    prepared.push_back({op.name, operands});
    const auto action = actions.find(op.name);
    return std::make_unique<Recorder>(this, op.name, action == actions.end() ? nullptr : action->second);
  }

  const Operands& operands(const std::string& name) const {
    for (const Prepared& p : prepared) {
      if (p.name == name) return p.operands;
    }
    throw std::out_of_range(name);
  }

  std::set<graph::OpKind> unsupported;
  bool packs = false;
  bool shares = false;  ///< forward and input gradient read one copy
  /// What the kernel of an op of that name does.
  std::map<std::string, std::function<void(const Operands&)>> actions;

  std::vector<Prepared> prepared;
  std::vector<std::pair<const void*, void*>> packings;
  std::vector<std::string> order;  ///< of runs; reserve it where allocations count

 private:
  class Recorder final : public Kernel {
   public:
    Recorder(FakeBackend* backend, std::string name, std::function<void(const Operands&)> action = nullptr)
        : backend_(backend), name_(std::move(name)), action_(std::move(action)) {}
    void Run() override {
      backend_->order.push_back(name_);
      if (action_) action_(backend_->operands(name_));
    }

   private:
    FakeBackend* backend_;
    std::string name_;
    std::function<void(const Operands&)> action_;
  };
};

/// The memory that a program is bound to.
struct Memory {
  Memory(const ProgramPlan& plan, const ParameterLayout& layout)
      : parameters(static_cast<size_t>(layout.elements()) * sizeof(float)),
        gradients(static_cast<size_t>(layout.elements()) * sizeof(float)),
        arena(static_cast<size_t>(plan.memory.bytes)),
        workspace(plan.workspace_bytes) {}

  Program::Bindings Bind(const PackedWeights* packed = nullptr) const {
    return {.parameters = parameters.As<float>().data(),
            .gradients = gradients.As<float>().data(),
            .packed = packed,
            .arena = arena.As<std::byte>(),
            .workspace = workspace.As<std::byte>()};
  }

  Buffer parameters, gradients, arena, workspace;
};

}  // namespace lockstep::engine
