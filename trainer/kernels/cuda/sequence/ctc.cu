// Connectionist temporal classification: a team of threads finds each time step's lse, then a block aligns each sample
// (ctc_alignment.h).
#include "trainer/engine/workspace_parts.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/sequence/ctc_alignment.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

/// The logarithm of each row's sum of exponentials.
template <typename T, int kPack>
struct LogSumExpRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float largest[kThreads], exponentials[kThreads];
  };

  const T* logits;
  double* lses;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    LargestOfRows<kPack>(block, plan, logits, shared.largest);
    block.ForEachThread([&](int t) {
      const float largest = shared.largest[plan.Leader(t)];
      float exponentials = 0;
      plan.ForEachPackOf<kPack>(logits, block.index(), t, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) exponentials += kernels::Exp(v[i] - largest);
      });
      shared.exponentials[t] = exponentials;
    });
    SumTeams(block, plan, shared.exponentials);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      lses[row] = static_cast<double>(shared.largest[t]) + kernels::Log(static_cast<double>(shared.exponentials[t]));
    });
  }
};

struct Workspace {
  double *lses, *offsets, *losses;
  int64_t* impossible;
  float* rows;
  int32_t* chains;
  size_t bytes;

  Workspace(const OpContext& context, std::byte* workspace) {
    const Shape& logits = context.InputShape(0);
    const int64_t samples = logits.dim(0), time_steps = logits.dim(1), states = 2 * context.InputShape(1).dim(1) + 1;
    engine::WorkspaceParts parts(workspace);
    lses = parts.Take<double>(samples * time_steps);
    offsets = parts.Take<double>(samples * time_steps);
    losses = parts.Take<double>(samples);
    impossible = parts.Take<int64_t>(samples);
    rows = parts.Take<float>(samples * (time_steps + 4) * states);
    chains = parts.Take<int32_t>(samples * 2 * states);
    bytes = parts.bytes();
  }
};

size_t WorkspaceBytes(const OpContext& context) { return Workspace(context, nullptr).bytes; }

template <typename T>
std::unique_ptr<Kernel> PrepareCtcAs(const KernelContext& context) {
  const Shape& logits = context.InputShape(0);
  const Workspace w(context, context.operands.workspace);
  const int64_t samples = logits.dim(0), time_steps = logits.dim(1), classes = logits.dim(2);
  const AlignSamples<T> align{.logits = context.Input<T>(0),
                              .labels = context.Input<int32_t>(1),
                              .lengths = context.Input<int32_t>(2),
                              .label_lengths = context.Input<int32_t>(3),
                              .lses = w.lses,
                              .dlogits = context.Output(1),
                              .offsets = w.offsets,
                              .losses = w.losses,
                              .impossible = w.impossible,
                              .rows = w.rows,
                              .chains = w.chains,
                              .time_steps = time_steps,
                              .classes = classes,
                              .most_labels = context.InputShape(1).dim(1)};
  return MakeKernel([=, stream = &context.stream, sum = context.Output<double>(0), count = context.Output<int64_t>(2)] {
    WithPack<T>({classes}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const LogSumExpRows<T, kPack> rows{align.logits, w.lses, PlanRows(samples * time_steps, classes, kPack)};
      Launch(*stream, rows.plan.blocks(), rows);
    });
    Launch(*stream, samples, align);
    if (sum != nullptr) Launch(*stream, 1, AddUp<double>{w.losses, samples, sum});
    if (count != nullptr) Launch(*stream, 1, AddUp<int64_t>{w.impossible, samples, count});
  });
}

std::unique_ptr<Kernel> PrepareCtc(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) { return PrepareCtcAs<T>(context); });
}

/// dlogits may lie where it is read, in float.
template <typename T>
struct ScaleGradient {
  static constexpr int kThreads = 256;

  const float* from;
  const graph::StepBlock* step_block;
  T* to;
  int64_t size;
  int loss;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      if (i < size) to[i] = FromFloat<T>(from[i] * step_block->loss_scale[loss]);
    });
  }
};

std::unique_ptr<Kernel> PrepareCtcGrad(const KernelContext& context) {
  return WithElementType(context.OutputType(0), [&]<typename T>(T) {
    const ScaleGradient<T> kernel{context.Input(0), context.Input<graph::StepBlock>(1), context.Output<T>(0),
                                  context.InputShape(0).size(), context.Attributes<graph::CtcAttributes>().loss};
    return MakeKernel(
        [kernel, stream = &context.stream] { Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, 1), kernel); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kCtc, .prepare = PrepareCtc, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kCtcGrad, .prepare = PrepareCtcGrad},
};

}  // namespace

std::span<const KernelRow> CtcRows() { return kRows; }

}  // namespace lockstep::cuda
