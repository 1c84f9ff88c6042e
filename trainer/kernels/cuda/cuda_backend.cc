#include "trainer/kernels/cuda/cuda_backend.h"

#include <array>

#include "base/error.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep {
namespace {

using cuda::KernelRow;
using engine::Kernel;
using graph::Graph;
using graph::Op;
using graph::OpKind;

constexpr size_t kKinds = static_cast<size_t>(OpKind::kCount);

std::array<KernelRow, kKinds> AllRows() {
  constexpr std::array kFamilies = {
      cuda::LinearRow,    cuda::ConvolutionRow,   cuda::PoolingRow,   cuda::GlobalPoolingRow,
      cuda::BatchNormRow, cuda::LayerNormRow,     cuda::RmsNormRow,   cuda::ElementwiseRow,
      cuda::LayoutRow,    cuda::LossRow,          cuda::EmbeddingRow, cuda::RotaryRow,
      cuda::AttentionRow, cuda::AttentionGradRow, cuda::SwiGluRow,    cuda::RecurrentRow,
      cuda::WindowsRow,   cuda::ArgMaxRow,        cuda::CtcRow};
  std::array<KernelRow, kKinds> rows;
  for (size_t k = 0; k < kKinds; ++k) {
    for (const auto family : kFamilies) {
      const KernelRow row = family(static_cast<OpKind>(k));
      if (row.prepare != nullptr) rows[k] = row;
    }
  }
  return rows;
}

class CudaBackend final : public engine::Backend {
 public:
  CudaBackend(cuda::DenseLibrary& library, DeviceStream& stream)
      : library_(library), stream_(stream), rows_(AllRows()) {}

  std::string_view name() const override { return "cuda"; }
  bool Supports(OpKind kind) const override { return RowOf(kind).prepare != nullptr; }

  size_t WorkspaceBytes(const Graph& graph, const Op& op) override {
    const KernelRow& row = RowOf(op.kind);
    return row.workspace_bytes == nullptr ? 0 : row.workspace_bytes({{graph, op}, library_});
  }
  size_t PackedBytes(const Graph& graph, const Op& op, int input, int /*runs*/) override {
    const KernelRow& row = RowOf(op.kind);
    return row.packed_bytes == nullptr ? 0 : row.packed_bytes({{graph, op}, library_}, input);
  }
  /// All ops read a parameter in the same layout (convolutions [o, kh, kw, c], others as it is) and type.
  int PackedLayout(const Graph&, const Op&, int) override { return 0; }
  std::unique_ptr<Kernel> PreparePack(const Graph& graph, const Op& op, int input, const void* plain,
                                      void* packed) override {
    const KernelRow& row = RowOf(op.kind);
    CHECK(row.prepare_pack != nullptr, "{} packs nothing", graph::Name(op.kind));
    return row.prepare_pack({{graph, op}, library_}, input, plain, packed, stream_);
  }
  std::unique_ptr<Kernel> Prepare(const Graph& graph, const Op& op, const engine::Operands& operands) override {
    const KernelRow& row = RowOf(op.kind);
    CHECK(row.prepare != nullptr, "no kernel for {}", graph::Name(op.kind));
    return row.prepare({{{graph, op}, library_}, {operands}, stream_});
  }

 private:
  const KernelRow& RowOf(OpKind kind) const { return rows_[static_cast<size_t>(kind)]; }

  cuda::DenseLibrary& library_;
  DeviceStream& stream_;
  const std::array<KernelRow, kKinds> rows_;
};

}  // namespace

std::unique_ptr<engine::Backend> MakeCudaBackend(cuda::DenseLibrary& library, DeviceStream& stream) {
  return std::make_unique<CudaBackend>(library, stream);
}

}  // namespace lockstep
