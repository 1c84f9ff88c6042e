// Attention and its gradient. A row's head of keys, with the heads of queries that read it, is one piece of work:
// orders of summation don't depend on the team.
#include "trainer/kernels/onednn/sequence/attention.h"

#include "trainer/kernels/onednn/primitives.h"

namespace lockstep::onednn {

using engine::Kernel;
using graph::OpKind;

AttentionShape::AttentionShape(const OpContext& context, size_t input) {
  const auto& attributes = context.Attributes<graph::AttentionAttributes>();
  const Shape& query = context.InputShape(input);
  has_memory = context.HasInput(input + 1);
  causal = attributes.causal;
  rows = query.dim(0), queries = query.dim(1);
  keys = has_memory ? context.InputShape(input + 1).dim(1) : queries;
  heads = attributes.heads, kv_heads = attributes.kv_heads;
  head_size = query.dim(2) / (has_memory ? heads : heads + 2 * kv_heads);
}

namespace {

/// For the instruction set that the run is pinned to.
AttentionKernels KernelsOfIsa() {
#ifdef LOCKSTEP_FUSED_X86
  if (HasAvx512()) return kAttentionAvx512;
  if (HasAvx2()) return kAttentionAvx2;
#endif
  return kAttentionGeneric;
}

size_t ForwardWorkspace(const OpContext& context) {
  const AttentionShape shape(context, 0);
  return static_cast<size_t>(context.threads) * static_cast<size_t>(ForwardLayout(shape).size) * sizeof(float);
}

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  ForwardJob job{
      AttentionShape(context, 0), {context.Input(0), context.Input(1)}, context.Output(0), context.Output(1)};
  job.shape.length = context.Input<int32_t>(2);
  auto* workspace = reinterpret_cast<float*>(context.operands.workspace);
  return MakeKernel([=, kernels = KernelsOfIsa(), threads = context.threads] {
    const int64_t size = ForwardLayout(job.shape).size;
    ForEachPiece(threads, job.shape.pairs(), 1, [&](int piece, int64_t begin, int64_t end) {
      for (int64_t pair = begin; pair < end; ++pair) kernels.forward(job, pair, workspace + piece * size);
    });
  });
}

size_t GradWorkspace(const OpContext& context) {
  const AttentionShape shape(context, 1);
  return static_cast<size_t>(context.threads) * static_cast<size_t>(GradLayout(shape).size) * sizeof(float);
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  GradJob job{AttentionShape(context, 1),
              {context.Input(1), context.Input(2)},
              {context.Output(0), context.Output(1)},
              context.Input(0),
              context.Input(4),
              context.Input(5)};
  job.shape.length = context.Input<int32_t>(3);
  auto* workspace = reinterpret_cast<float*>(context.operands.workspace);
  return MakeKernel([=, kernels = KernelsOfIsa(), threads = context.threads] {
    const int64_t size = GradLayout(job.shape).size;
    ForEachPiece(threads, job.shape.pairs(), 1, [&](int piece, int64_t begin, int64_t end) {
      for (int64_t pair = begin; pair < end; ++pair) kernels.backward(job, pair, workspace + piece * size);
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kAttention, .prepare = PrepareForward, .workspace_bytes = ForwardWorkspace},
    {.kind = OpKind::kAttentionGrad, .prepare = PrepareGrad, .workspace_bytes = GradWorkspace},
};

}  // namespace

std::span<const KernelRow> AttentionRows() { return kRows; }

}  // namespace lockstep::onednn
