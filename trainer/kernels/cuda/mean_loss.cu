// The mean of each row's values as a loss, a team of threads per row, added in double.
#include "trainer/graph/step_block.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/row_sums.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::MeanLossAttributes;
using graph::OpKind;

template <typename T>
struct MeanLossRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    double sums[kThreads];
    double losses[RowPlan::kMostRows];
  };

  const T* values;
  const float* mask;
  double* block_sums;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      double sum = 0;
      if (row < plan.rows && mask[row] != 0.0f)
        plan.ForEachPack<1>(t, [&](int64_t at) { sum += static_cast<double>(ToFloat(values[row * plan.size + at])); });
      shared.sums[t] = sum;
    });
    SumTeams(block, plan, shared.sums);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      shared.losses[plan.TeamOf(t)] =
          static_cast<double>(mask[row]) * (shared.sums[t] / static_cast<double>(plan.size));
    });
    block.ForEachThread([&](int t) {
      if (t == 0) block_sums[block.index()] = SumOfRows(plan, block.index(), shared.losses);
    });
  }
};

template <typename T>
struct MeanLossGradient {
  static constexpr int kThreads = 256;

  const float* mask;
  const graph::StepBlock* step_block;
  T* gradient;
  int64_t rows, columns;
  int loss;
  float per_column;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t i = block.index() * kThreads + t;
      const int64_t row = Divide(i, columns).quotient;
      if (row >= rows) return;
      gradient[i] = FromFloat<T>(per_column * step_block->loss_scale[loss] * mask[row]);
    });
  }
};

/// For the sums of the blocks: whatever its packs, a plan has no more blocks than rows.
size_t WorkspaceBytes(const OpContext& context) {
  return static_cast<size_t>(context.InputShape(0).dim(0)) * sizeof(double);
}

std::unique_ptr<Kernel> PrepareMeanLoss(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), columns = context.InputShape(0).size() / rows;
  auto* sums = reinterpret_cast<double*>(context.operands.workspace);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const MeanLossRows<T> kernel{context.Input<T>(0), context.Input(1), sums, PlanRows(rows, columns, 1)};
    return MakeKernel([kernel, sum = context.Output<double>(0), stream = &context.stream] {
      Launch(*stream, kernel.plan.blocks(), kernel);
      LaunchSumOfBlocks(*stream, kernel.plan, kernel.block_sums, sum);
    });
  });
}

std::unique_ptr<Kernel> PrepareMeanLossGrad(const KernelContext& context) {
  const int64_t rows = context.OutputShape(0).dim(0), columns = context.OutputShape(0).size() / rows;
  return WithElementType(context.Attributes<MeanLossAttributes>().dtype, [&]<typename T>(T) {
    const MeanLossGradient<T> kernel{.mask = context.Input(0),
                                     .step_block = context.Input<graph::StepBlock>(1),
                                     .gradient = context.Output<T>(0),
                                     .rows = rows,
                                     .columns = columns,
                                     .loss = context.Attributes<MeanLossAttributes>().loss,
                                     .per_column = 1.0f / static_cast<float>(columns)};
    return MakeKernel([kernel, stream = &context.stream] {
      Launch(*stream, BlocksFor(kernel.rows * kernel.columns, kernel.kThreads, 1), kernel);
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kMeanLoss, .prepare = PrepareMeanLoss, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kMeanLossGrad, .prepare = PrepareMeanLossGrad},
};

}  // namespace

std::span<const KernelRow> MeanLossRows() { return kRows; }

}  // namespace lockstep::cuda
