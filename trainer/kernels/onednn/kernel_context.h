// What a kernel family sees of an op, and the table that names each op's functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/op_view.h"
#include "trainer/graph/graph.h"

namespace lockstep::onednn {

/// An op before it has addresses.
struct OpContext : engine::OpView {
  int threads = 1;  ///< of the lane's team
};

/// An op with addresses.
struct KernelContext : OpContext, engine::OperandView {};

using engine::MakeKernel;
using engine::Rows;

/// Layouts of packed weights that don't depend on the shapes of other inputs; the others are their op's own.
inline constexpr int kOwnLayout = -1, kForwardLayout = 0, kInputGradLayout = 1;

/// One op kind's functions. Absent: no workspace, no packed copies.
struct KernelRow {
  graph::OpKind kind;
  std::unique_ptr<engine::Kernel> (*prepare)(const KernelContext& context);
  size_t (*workspace_bytes)(const OpContext& context) = nullptr;
  size_t (*packed_bytes)(const OpContext& context, int input, int runs) = nullptr;
  std::unique_ptr<engine::Kernel> (*prepare_pack)(const OpContext& context, int input, const void* plain,
                                                  void* packed) = nullptr;
  int packed_layout = kOwnLayout;
};

/// Each family has its rows beside its code.
std::span<const KernelRow> LinearRows();
std::span<const KernelRow> ConvolutionRows();
std::span<const KernelRow> PoolingRows();
std::span<const KernelRow> BatchNormRows();
std::span<const KernelRow> RowNormRows();
std::span<const KernelRow> GroupNormRows();
std::span<const KernelRow> FrozenNormRows();
std::span<const KernelRow> ElementwiseRows();
std::span<const KernelRow> EmbeddingRows();
std::span<const KernelRow> RotaryRows();
std::span<const KernelRow> AttentionRows();
std::span<const KernelRow> SwiGluRows();
std::span<const KernelRow> RecurrentRows();
std::span<const KernelRow> WindowsRows();
std::span<const KernelRow> CtcRows();
std::span<const KernelRow> DetectionRows();
std::span<const KernelRow> ReduceRows();
std::span<const KernelRow> StridedRows();
std::span<const KernelRow> GatherRows();
std::span<const KernelRow> SoftmaxRows();
std::span<const KernelRow> MatMulRows();
std::span<const KernelRow> ArgMaxRows();
std::span<const KernelRow> TensorElementwiseRows();
std::span<const KernelRow> LayoutRows();
std::span<const KernelRow> ResizeRows();
std::span<const KernelRow> LossRows();

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
