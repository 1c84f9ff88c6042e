#include "trainer/kernels/cuda/cuda_backend.h"

#include "base/error.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/rows_by_kind.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep {
namespace {

using cuda::KernelRow;
using engine::Kernel;
using graph::Graph;
using graph::Op;
using graph::OpKind;

const graph::RowsByKind<KernelRow>& AllRows() {
  static const graph::RowsByKind<KernelRow> rows =
      graph::CollectRows<KernelRow>("the CUDA backend", {cuda::LinearRows(),
                                                         cuda::ConvolutionRows(),
                                                         cuda::PoolingRows(),
                                                         cuda::GlobalPoolingRows(),
                                                         cuda::BatchNormRows(),
                                                         cuda::RowNormRows(),
                                                         cuda::ElementwiseRows(),
                                                         cuda::LayoutRows(),
                                                         cuda::CrossEntropyRows(),
                                                         cuda::SquaredErrorRows(),
                                                         cuda::EmbeddingRows(),
                                                         cuda::RotaryRows(),
                                                         cuda::AttentionRows(),
                                                         cuda::AttentionGradRows(),
                                                         cuda::SwiGluRows(),
                                                         cuda::RecurrentRows(),
                                                         cuda::WindowsRows(),
                                                         cuda::ArgMaxRows(),
                                                         cuda::CtcRows(),
                                                         cuda::DetectionRows(),
                                                         cuda::GroupNormRows(),
                                                         cuda::FrozenNormRows(),
                                                         cuda::PixelsRows(),
                                                         cuda::ReduceRows(),
                                                         cuda::StridedRows(),
                                                         cuda::GatherRows(),
                                                         cuda::SoftmaxRows(),
                                                         cuda::MatMulRows(),
                                                         cuda::TensorElementwiseRows(),
                                                         cuda::ResizeRows(),
                                                         cuda::MeanLossRows(),
                                                         cuda::RowNormGradRows()});
  return rows;
}

class CudaBackend final : public engine::Backend {
 public:
  CudaBackend(cuda::DenseLibrary& library, DeviceStream& stream) : library_(library), stream_(stream) {}

  std::string_view name() const override { return "cuda"; }
  bool Supports(OpKind kind) const override { return AllRows().Find(kind) != nullptr; }
  /// What tensor cores' kernels copy at once: from rows that begin elsewhere they take elements one by one.
  int64_t RowAlignment() const override { return 16; }
  bool FusesOps() const override { return true; }

  size_t WorkspaceBytes(const Graph& graph, const Op& op) override {
    const KernelRow& row = RowOf(op.kind);
    return row.workspace_bytes == nullptr ? 0 : row.workspace_bytes({{graph, op}, library_});
  }
  size_t PackedBytes(const Graph& graph, const Op& op, int input, int /*runs*/) override {
    const KernelRow& row = RowOf(op.kind);
    return row.packed_bytes == nullptr ? 0 : row.packed_bytes({{graph, op}, library_}, input);
  }
  /// All ops read a parameter in the same layout (convolutions [o, kh, kw, c], others as it is) and type; filters of
  /// images with zeros behind their channels have some too.
  int PackedLayout(const Graph& graph, const Op& op, int) override {
    return op.kind == OpKind::kConv2d ? static_cast<int>(graph.value(op.inputs[0]).pitch) : 0;
  }
  std::unique_ptr<Kernel> PreparePack(const Graph& graph, const Op& op, int input, const void* plain,
                                      void* packed) override {
    const KernelRow& row = RowOf(op.kind);
    CHECK(row.prepare_pack != nullptr, "{} packs nothing", graph::Name(op.kind));
    return row.prepare_pack({{graph, op}, library_}, input, plain, packed, stream_);
  }
  bool CanAdd(const Graph& graph, const Op& op) override {
    const KernelRow& row = RowOf(op.kind);
    return row.can_add != nullptr && row.can_add({{graph, op}, library_});
  }
  std::unique_ptr<Kernel> Prepare(const Graph& graph, const Op& op, const engine::Operands& operands) override {
    const KernelRow& row = RowOf(op.kind);
    return row.prepare({{{graph, op}, library_}, {operands}, stream_});
  }

 private:
  static const KernelRow& RowOf(OpKind kind) {
    const KernelRow* row = AllRows().Find(kind);
    CHECK(row != nullptr, "no kernel for {}", graph::Name(kind));
    return *row;
  }

  cuda::DenseLibrary& library_;
  DeviceStream& stream_;
};

}  // namespace

std::unique_ptr<engine::Backend> MakeCudaBackend(cuda::DenseLibrary& library, DeviceStream& stream) {
  return std::make_unique<CudaBackend>(library, stream);
}

}  // namespace lockstep
