// The mean squared error, a team of threads per row, added in double.
#include "trainer/graph/step_block.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/row_sums.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::LossAttributes;
using graph::OpKind;

/// Targets and masks are float, whatever the predictions are.
template <typename T>
struct SquaredErrorRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    double squares[kThreads];
    double losses[RowPlan::kMostRows];
  };

  const T* predictions;
  const float *targets, *mask;
  double* block_sums;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      double sum = 0;
      if (row < plan.rows) {
        plan.ForEachPack<1>(t, [&](int64_t at) {
          const int64_t i = row * plan.size + at;
          const double difference = static_cast<double>(ToFloat(predictions[i])) - static_cast<double>(targets[i]);
          sum += difference * difference;
        });
      }
      shared.squares[t] = sum;
    });
    SumTeams(block, plan, shared.squares);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      shared.losses[plan.TeamOf(t)] =
          static_cast<double>(mask[row]) * (shared.squares[t] / static_cast<double>(plan.size));
    });
    block.ForEachThread([&](int t) {
      if (t == 0) block_sums[block.index()] = SumOfRows(plan, block.index(), shared.losses);
    });
  }
};

template <typename T>
struct SquaredErrorGradient {
  static constexpr int kThreads = 256;

  const T* predictions;
  const float *targets, *mask;
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
      const float scale = per_column * step_block->loss_scale[loss] * mask[row];
      gradient[i] = FromFloat<T>(kernels::SquaredErrorGradient(ToFloat(predictions[i]), targets[i], scale));
    });
  }
};

/// For the sums of the blocks: whatever its packs, a plan has no more blocks than rows.
size_t WorkspaceBytes(const OpContext& context) {
  return static_cast<size_t>(Rows(context.InputShape(0))) * sizeof(double);
}

std::unique_ptr<Kernel> PrepareSquaredError(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), columns = context.InputShape(0).dim(1);
  auto* sums = reinterpret_cast<double*>(context.operands.workspace);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const SquaredErrorRows<T> kernel{context.Input<T>(0), context.Input(1), context.Input(2), sums,
                                     PlanRows(rows, columns, 1)};
    return MakeKernel([kernel, sum = context.Output<double>(0), stream = &context.stream] {
      Launch(*stream, kernel.plan.blocks(), kernel);
      LaunchSumOfBlocks(*stream, kernel.plan, kernel.block_sums, sum);
    });
  });
}

std::unique_ptr<Kernel> PrepareSquaredErrorGrad(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), columns = context.InputShape(0).dim(1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const SquaredErrorGradient<T> kernel{.predictions = context.Input<T>(0),
                                         .targets = context.Input(1),
                                         .mask = context.Input(2),
                                         .step_block = context.Input<graph::StepBlock>(3),
                                         .gradient = context.Output<T>(0),
                                         .rows = rows,
                                         .columns = columns,
                                         .loss = context.Attributes<LossAttributes>().loss,
                                         .per_column = 2.0f / static_cast<float>(columns)};
    return MakeKernel([kernel, stream = &context.stream] {
      Launch(*stream, BlocksFor(kernel.rows * kernel.columns, kernel.kThreads, 1), kernel);
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kMeanSquaredError, .prepare = PrepareSquaredError, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kMeanSquaredErrorGrad, .prepare = PrepareSquaredErrorGrad},
};

}  // namespace

std::span<const KernelRow> SquaredErrorRows() { return kRows; }

}  // namespace lockstep::cuda
