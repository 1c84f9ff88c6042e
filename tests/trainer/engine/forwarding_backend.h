// A backend that passes everything on to another one: for those that differ in a thing or two.
#pragma once

#include <memory>

#include "trainer/engine/backend.h"

namespace lockstep::engine {

class ForwardingBackend : public Backend {
 public:
  std::string_view name() const override { return inner().name(); }
  bool Supports(graph::OpKind kind) const override { return inner().Supports(kind); }
  int64_t RowAlignment() const override { return inner().RowAlignment(); }
  bool FusesOps() const override { return inner().FusesOps(); }
  size_t WorkspaceBytes(const graph::Graph& graph, const graph::Op& op) override {
    return inner().WorkspaceBytes(graph, op);
  }
  size_t PackedBytes(const graph::Graph& graph, const graph::Op& op, int input, int runs) override {
    return inner().PackedBytes(graph, op, input, runs);
  }
  int PackedLayout(const graph::Graph& graph, const graph::Op& op, int input) override {
    return inner().PackedLayout(graph, op, input);
  }
  std::unique_ptr<Kernel> PreparePack(const graph::Graph& graph, const graph::Op& op, int input, const void* plain,
                                      void* packed) override {
    return inner().PreparePack(graph, op, input, plain, packed);
  }
  bool CanAdd(const graph::Graph& graph, const graph::Op& op) override { return inner().CanAdd(graph, op); }
  std::unique_ptr<Kernel> Prepare(const graph::Graph& graph, const graph::Op& op, const Operands& operands) override {
    return inner().Prepare(graph, op, operands);
  }

 protected:
  virtual Backend& inner() const = 0;
};

}  // namespace lockstep::engine
