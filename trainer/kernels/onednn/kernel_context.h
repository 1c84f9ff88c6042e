// What a kernel family sees of an op, and the table that names each op's functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "trainer/engine/backend.h"
#include "trainer/graph/graph.h"

namespace lockstep::onednn {

/// An op before it has addresses.
struct OpContext {
  const graph::Graph& graph;
  const graph::Op& op;
  int threads = 1;  ///< of the lane's team

  bool HasInput(size_t i) const { return i < op.inputs.size() && op.inputs[i] != graph::kNoValue; }
  bool HasOutput(size_t i) const { return i < op.outputs.size() && op.outputs[i] != graph::kNoValue; }
  const Shape& InputShape(size_t i) const { return graph.value(op.inputs.at(i)).shape; }
  const Shape& OutputShape(size_t i) const { return graph.value(op.outputs.at(i)).shape; }
  template <typename A>
  const A& Attributes() const {
    return op.as<A>();
  }
};

/// An op with addresses.
struct KernelContext : OpContext {
  const engine::Operands& operands;

  /// nullptr where the operand is absent.
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

/// One op kind's functions. Absent: no workspace, no packed copies.
struct KernelRow {
  std::unique_ptr<engine::Kernel> (*prepare)(const KernelContext& context) = nullptr;
  size_t (*workspace_bytes)(const OpContext& context) = nullptr;
  size_t (*packed_bytes)(const OpContext& context, int input) = nullptr;
  std::unique_ptr<engine::Kernel> (*prepare_pack)(const OpContext& context, int input, const void* plain,
                                                  void* packed) = nullptr;
};

/// By kind; `prepare` is nullptr where the backend has no kernel. Each family has its rows beside its code.
KernelRow LinearRow(graph::OpKind kind);
KernelRow ConvolutionRow(graph::OpKind kind);
KernelRow PoolingRow(graph::OpKind kind);
KernelRow BatchNormRow(graph::OpKind kind);
KernelRow LayerNormRow(graph::OpKind kind);
KernelRow ElementwiseRow(graph::OpKind kind);
KernelRow LayoutRow(graph::OpKind kind);
KernelRow LossRow(graph::OpKind kind);

/// A kernel from a callable that holds everything it needs.
template <typename F>
std::unique_ptr<engine::Kernel> MakeKernel(F run) {
  class CallableKernel final : public engine::Kernel {
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

/// How a range [0, n) is cut for a team: one piece per thread, or one alone where n is small.
struct Pieces {
  int count;
  int64_t n;

  Pieces(int threads, int64_t n, int64_t least) : count(n >= 2 * least ? threads : 1), n(n) {}
  int64_t begin(int piece) const { return n * piece / count; }
  int64_t end(int piece) const { return n * (piece + 1) / count; }
};

/// Calls run(piece, begin, end) for each piece, side by side; a single piece is a plain call.
template <typename F>
void ForEachPiece(const Pieces& pieces, F&& run) {
  if (pieces.count == 1) return run(0, int64_t{0}, pieces.n);
#pragma omp parallel for num_threads(pieces.count) schedule(static)
  for (int piece = 0; piece < pieces.count; ++piece) run(piece, pieces.begin(piece), pieces.end(piece));
}

template <typename F>
void ForEachPiece(int threads, int64_t n, int64_t least, F&& run) {
  ForEachPiece(Pieces(threads, n, least), run);
}

}  // namespace lockstep::onednn
