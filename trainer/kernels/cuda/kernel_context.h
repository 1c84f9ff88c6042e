// What a family of kernels works with, and how it registers: the kernels of one op family have their rows beside their
// code. No header of this chain formats text (nvcc would take seconds).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bfloat16.h"
#include "base/device.h"
#include "trainer/engine/op_view.h"
#include "trainer/graph/graph.h"
#include "trainer/kernels/cuda/dense_library.h"

namespace lockstep::cuda {

/// An op before it has addresses.
struct OpContext : engine::OpView {
  DenseLibrary& library;
};

/// An op with addresses: device memory, aligned to kValueAlignment.
struct KernelContext : OpContext, engine::OperandView {
  DeviceStream& stream;
};

/// One op kind's functions. Absent: no workspace, no packed copies.
struct KernelRow {
  std::unique_ptr<engine::Kernel> (*prepare)(const KernelContext& context) = nullptr;
  size_t (*workspace_bytes)(const OpContext& context) = nullptr;
  size_t (*packed_bytes)(const OpContext& context, int input) = nullptr;
  std::unique_ptr<engine::Kernel> (*prepare_pack)(const OpContext& context, int input, const void* plain, void* packed,
                                                  DeviceStream& stream) = nullptr;
};

/// By kind; `prepare` is nullptr where the family has no kernel for it.
KernelRow LinearRow(graph::OpKind kind);
KernelRow ConvolutionRow(graph::OpKind kind);
KernelRow PoolingRow(graph::OpKind kind);
KernelRow GlobalPoolingRow(graph::OpKind kind);
KernelRow BatchNormRow(graph::OpKind kind);
KernelRow LayerNormRow(graph::OpKind kind);
KernelRow RmsNormRow(graph::OpKind kind);
KernelRow ElementwiseRow(graph::OpKind kind);
KernelRow LayoutRow(graph::OpKind kind);
KernelRow LossRow(graph::OpKind kind);
KernelRow EmbeddingRow(graph::OpKind kind);
KernelRow RotaryRow(graph::OpKind kind);
KernelRow AttentionRow(graph::OpKind kind);
KernelRow AttentionGradRow(graph::OpKind kind);
KernelRow SwiGluRow(graph::OpKind kind);
KernelRow RecurrentRow(graph::OpKind kind);
KernelRow WindowsRow(graph::OpKind kind);
KernelRow CtcRow(graph::OpKind kind);
KernelRow ArgMaxRow(graph::OpKind kind);

/// Calls run(T{}) with T float or BFloat16, as `type` says.
template <typename F>
auto WithElementType(DType type, F&& run) {
  if (type == DType::kBF16) return run(BFloat16{});
  return run(float{});
}

using engine::MakeKernel;
using engine::Rows;

}  // namespace lockstep::cuda
