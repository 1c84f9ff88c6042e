// How a backend looks at an op that it prepares: shapes and types before it has addresses, operands afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "trainer/engine/backend.h"
#include "trainer/graph/graph.h"

namespace lockstep::engine {

/// An op before it has addresses.
struct OpView {
  const graph::Graph& graph;
  const graph::Op& op;

  bool HasInput(size_t i) const { return i < op.inputs.size() && op.inputs[i] != graph::kNoValue; }
  bool HasOutput(size_t i) const { return i < op.outputs.size() && op.outputs[i] != graph::kNoValue; }
  const Shape& InputShape(size_t i) const { return graph.value(op.inputs.at(i)).shape; }
  const Shape& OutputShape(size_t i) const { return graph.value(op.outputs.at(i)).shape; }
  /// Elements from one row to the next.
  int64_t InputPitch(size_t i) const { return graph.value(op.inputs.at(i)).row_pitch(); }
  int64_t OutputPitch(size_t i) const { return graph.value(op.outputs.at(i)).row_pitch(); }
  DType InputType(size_t i) const { return graph.value(op.inputs.at(i)).dtype; }
  DType OutputType(size_t i) const { return graph.value(op.outputs.at(i)).dtype; }
  template <typename A>
  const A& Attributes() const {
    return op.as<A>();
  }
};

/// The addresses of an op, by operand; nullptr where one is absent.
struct OperandView {
  const Operands& operands;

  template <typename T = float>
  const T* Input(size_t i) const {
    return i < operands.inputs.size() ? static_cast<const T*>(operands.inputs[i]) : nullptr;
  }
  template <typename T = float>
  T* Output(size_t i) const {
    return i < operands.outputs.size() ? static_cast<T*>(operands.outputs[i]) : nullptr;
  }
  const void* Packed(size_t i) const { return i < operands.packed.size() ? operands.packed[i] : nullptr; }
};

/// A kernel from a callable that holds everything it needs.
template <typename F>
std::unique_ptr<Kernel> MakeKernel(F run) {
  class CallableKernel final : public Kernel {
   public:
    explicit CallableKernel(F run) : run_(std::move(run)) {}
    void Run() override { run_(); }

   private:
    F run_;
  };
  return std::make_unique<CallableKernel>(std::move(run));
}

/// All dimensions but the last, as rows.
inline int64_t Rows(const Shape& shape) {
  return shape.rank() == 0 ? 1 : shape.size() / (shape.dim(-1) > 0 ? shape.dim(-1) : 1);
}

}  // namespace lockstep::engine
