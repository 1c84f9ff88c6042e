// What a family of kernels works with, and how it registers: the kernels of one op family have their rows beside their
// code. No header of this chain formats text (nvcc would take seconds).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bfloat16.h"
#include "base/device.h"
#include "trainer/engine/op_view.h"
#include "trainer/graph/graph.h"
#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::cuda {

/// An op before it has addresses.
struct OpContext : engine::OpView {
  DenseLibrary& library;
};

/// An op with addresses: device memory, aligned to kValueAlignment.
struct KernelContext : OpContext, engine::OperandView {
  DeviceStream& stream;
};

/// One op kind's functions. Absent: no workspace, no packed copies, nothing is added.
struct KernelRow {
  graph::OpKind kind;
  std::unique_ptr<engine::Kernel> (*prepare)(const KernelContext& context);
  size_t (*workspace_bytes)(const OpContext& context) = nullptr;
  size_t (*packed_bytes)(const OpContext& context, int input) = nullptr;
  std::unique_ptr<engine::Kernel> (*prepare_pack)(const OpContext& context, int input, const void* plain, void* packed,
                                                  DeviceStream& stream) = nullptr;
  bool (*can_add)(const OpContext& context) = nullptr;
};

/// Each family has its rows beside its code.
std::span<const KernelRow> LinearRows();
std::span<const KernelRow> ConvolutionRows();
std::span<const KernelRow> PoolingRows();
std::span<const KernelRow> GlobalPoolingRows();
std::span<const KernelRow> BatchNormRows();
std::span<const KernelRow> RowNormRows();
std::span<const KernelRow> RowNormGradRows();
std::span<const KernelRow> GroupNormRows();
std::span<const KernelRow> FrozenNormRows();
std::span<const KernelRow> ElementwiseRows();
std::span<const KernelRow> TensorElementwiseRows();
std::span<const KernelRow> LayoutRows();
std::span<const KernelRow> ResizeRows();
std::span<const KernelRow> CrossEntropyRows();
std::span<const KernelRow> SquaredErrorRows();
std::span<const KernelRow> MeanLossRows();
std::span<const KernelRow> EmbeddingRows();
std::span<const KernelRow> RotaryRows();
std::span<const KernelRow> AttentionRows();
std::span<const KernelRow> AttentionGradRows();
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
std::span<const KernelRow> PixelsRows();

/// Calls run(T{}) with T float or BFloat16, as `type` says.
template <typename F>
auto WithElementType(DType type, F&& run) {
  if (type == DType::kBF16) return run(BFloat16{});
  return run(float{});
}

using engine::MakeKernel;
using engine::Rows;

}  // namespace lockstep::cuda
