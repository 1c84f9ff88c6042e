#include "trainer/kernels/onednn/onednn_backend.h"

#include <fmt/format.h>

#include "base/machine/host.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/rows_by_kind.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/primitives.h"

namespace lockstep {
namespace {

using engine::Kernel;
using graph::Graph;
using graph::Op;
using graph::OpKind;
using onednn::KernelRow;

const graph::RowsByKind<KernelRow>& AllRows() {
  static const graph::RowsByKind<KernelRow> rows =
      graph::CollectRows<KernelRow>("the oneDNN backend", {onednn::LinearRows(),
                                                           onednn::ConvolutionRows(),
                                                           onednn::PoolingRows(),
                                                           onednn::BatchNormRows(),
                                                           onednn::RowNormRows(),
                                                           onednn::ElementwiseRows(),
                                                           onednn::LayoutRows(),
                                                           onednn::EmbeddingRows(),
                                                           onednn::RotaryRows(),
                                                           onednn::AttentionRows(),
                                                           onednn::SwiGluRows(),
                                                           onednn::RecurrentRows(),
                                                           onednn::WindowsRows(),
                                                           onednn::ArgMaxRows(),
                                                           onednn::CtcRows(),
                                                           onednn::LossRows(),
                                                           onednn::DetectionRows(),
                                                           onednn::GroupNormRows(),
                                                           onednn::FrozenNormRows(),
                                                           onednn::ReduceRows(),
                                                           onednn::StridedRows(),
                                                           onednn::GatherRows(),
                                                           onednn::SoftmaxRows(),
                                                           onednn::MatMulRows(),
                                                           onednn::TensorElementwiseRows(),
                                                           onednn::ResizeRows()});
  return rows;
}

/// What the library could not do, as an Error that names the op.
template <typename F>
auto Translated(const Op& op, F&& run) {
  try {
    return run();
  } catch (const dnnl::error& error) {
    throw Error(ErrorKind::kInternal,
                fmt::format("oneDNN has no {} for these shapes: {}", graph::Name(op.kind), error.what()), op.name);
  }
}

class OneDnnBackend final : public engine::Backend {
 public:
  explicit OneDnnBackend(int lane_threads) : threads_(lane_threads) {}

  std::string_view name() const override { return "onednn"; }
  bool Supports(OpKind kind) const override { return AllRows().Find(kind) != nullptr; }

  size_t WorkspaceBytes(const Graph& graph, const Op& op) override {
    const KernelRow& row = RowOf(op.kind);
    if (row.workspace_bytes == nullptr) return 0;
    const onednn::ScopedTeam team(threads_);
    return Translated(op, [&] { return row.workspace_bytes({{graph, op}, threads_}); });
  }

  size_t PackedBytes(const Graph& graph, const Op& op, int input, int runs) override {
    const KernelRow& row = RowOf(op.kind);
    if (row.packed_bytes == nullptr) return 0;
    const onednn::ScopedTeam team(threads_);
    return Translated(op, [&] { return row.packed_bytes({{graph, op}, threads_}, input, runs); });
  }

  int PackedLayout(const Graph&, const Op& op, int) override { return RowOf(op.kind).packed_layout; }

  std::unique_ptr<Kernel> PreparePack(const Graph& graph, const Op& op, int input, const void* plain,
                                      void* packed) override {
    const KernelRow& row = RowOf(op.kind);
    CHECK(row.prepare_pack != nullptr, "{} packs nothing", graph::Name(op.kind));
    const onednn::ScopedTeam team(threads_);
    return Translated(op, [&] { return row.prepare_pack({{graph, op}, threads_}, input, plain, packed); });
  }

  std::unique_ptr<Kernel> Prepare(const Graph& graph, const Op& op, const engine::Operands& operands) override {
    const KernelRow& row = RowOf(op.kind);
    const onednn::ScopedTeam team(threads_);
    return Translated(op, [&] { return row.prepare({{{graph, op}, threads_}, {operands}}); });
  }

 private:
  static const KernelRow& RowOf(OpKind kind) {
    const KernelRow* row = AllRows().Find(kind);
    CHECK(row != nullptr, "no kernel for {}", graph::Name(kind));
    return *row;
  }

  const int threads_;
};

dnnl::cpu_isa LibraryIsa(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      return dnnl::cpu_isa::sse41;
    case Isa::kAvx2:
      return dnnl::cpu_isa::avx2;
    case Isa::kAvx512:
      return dnnl::cpu_isa::avx512_core_bf16;
    case Isa::kAmx:
      return dnnl::cpu_isa::avx512_core_amx;
  }
  return dnnl::cpu_isa::sse41;
}

/// The library takes a limit only before its first use, and keeps it for the process.
void LimitIsa(Isa isa) {
  if (isa > DetectIsa()) {
    throw Error(ErrorKind::kUsage, fmt::format("this machine has no {}", Name(isa)), HostName(),
                fmt::format("it has {}; run on a machine like the first one", Name(DetectIsa())));
  }
  static const Isa first = [isa] {
    const dnnl::status status = dnnl::set_max_cpu_isa(LibraryIsa(isa));
    CHECK(status == dnnl::status::success, "oneDNN does not take a limit of its instruction set");
    return isa;
  }();
  CHECK(first == isa, "oneDNN was limited to {} before, and can't change to {}", Name(first), Name(isa));
}

}  // namespace

std::unique_ptr<engine::Backend> MakeOneDnnBackend(const OneDnnOptions& options) {
  CHECK(options.lane_threads >= 1, "a lane has {} threads", options.lane_threads);
  LimitIsa(options.isa);
  return std::make_unique<OneDnnBackend>(options.lane_threads);
}

std::string OneDnnVersion() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{} ({}, runtime {})", version->major, version->minor, version->patch, version->hash,
                     version->cpu_runtime);
}

}  // namespace lockstep
