// Losses and counters, a team of threads per row. A block adds its rows in double (counters: as integers) in row order,
// and a second kernel adds the blocks.
#include <cmath>
#include <limits>

#include "trainer/graph/step_block.h"
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::LossAttributes;
using graph::OpKind;

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

/// What a block's rows come to, added by its first thread.
template <typename T>
LOCKSTEP_HD T SumOfRows(const RowPlan& plan, int64_t block, const T* by_team) {
  T sum = 0;
  for (int team = 0; team < plan.rows_per_block() && block * plan.rows_per_block() + team < plan.rows; ++team) {
    sum += by_team[team];
  }
  return sum;
}

/// Labels, and the weights that may be absent.
struct Targets {
  const int32_t* labels;
  const float* weights;
  const int32_t* other_labels;
  const float* other_weights;

  LOCKSTEP_HD kernels::RowTarget Row(int64_t row) const {
    return kernels::TargetOfRow(labels, weights, other_labels, other_weights, row);
  }
};

template <typename T, int kPack>
struct CrossEntropyRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float largest[kThreads], exponentials[kThreads], logits[kThreads];
    double losses[RowPlan::kMostRows];
  };

  const T* logits;
  Targets targets;
  float* lses;  ///< absent: nullptr
  double* block_sums;
  RowPlan plan;
  double smoothing;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    LargestOfRows<kPack>(block, plan, logits, shared.largest);
    block.ForEachThread([&](int t) {
      const float largest = shared.largest[plan.Leader(t)];
      float exponentials = 0, sum = 0;
      plan.ForEachPackOf<kPack>(logits, block.index(), t, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          exponentials += kernels::Exp(v[i] - largest);
          sum += v[i];
        }
      });
      shared.exponentials[t] = exponentials;
      shared.logits[t] = sum;
    });
    SumTeams(block, plan, shared.exponentials);
    SumTeams(block, plan, shared.logits);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      const double lse =
          static_cast<double>(shared.largest[t]) + kernels::Log(static_cast<double>(shared.exponentials[t]));
      if (lses != nullptr) lses[row] = static_cast<float>(lse);
      shared.losses[plan.TeamOf(t)] = Loss(row, lse, static_cast<double>(shared.logits[t]));
    });
    block.ForEachThread([&](int t) {
      if (t == 0) block_sums[block.index()] = SumOfRows(plan, block.index(), shared.losses);
    });
  }

 private:
  /// Labels that no class has make the loss not-a-number, which stops the run.
  LOCKSTEP_HD double Loss(int64_t row, double lse, double sum) const {
    const kernels::RowTarget target = targets.Row(row);
    if (target.label < 0) return 0.0;
    if (target.label >= plan.size || target.other >= plan.size) return kNotANumber;
    double expected = (1.0 - smoothing) * LogitOf(row, target);
    if (smoothing > 0) expected += smoothing / static_cast<double>(plan.size) * sum;
    return static_cast<double>(target.weight) * (lse - expected);
  }
  LOCKSTEP_HD double LogitOf(int64_t row, const kernels::RowTarget& target) const {
    const auto logit = static_cast<double>(ToFloat(logits[row * plan.size + target.label]));
    if (target.other < 0) return logit;
    const auto share = static_cast<double>(target.share);
    return share * logit + (1.0 - share) * static_cast<double>(ToFloat(logits[row * plan.size + target.other]));
  }
};

/// dlogits = (softmax - target) scale, a pack per thread. dlogits may lie over logits.
template <typename T, int kPack>
struct CrossEntropyGradient {
  static constexpr int kThreads = 256;

  const T* logits;
  Targets targets;
  const float* lses;
  const graph::StepBlock* step_block;
  T* dlogits;
  int64_t rows, classes;
  int loss;
  float smoothing, elsewhere;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t thread = block.index() * kThreads + t;
      const Quotient place = Divide(thread, classes / kPack);
      const int64_t row = place.quotient, column = place.remainder * kPack;
      if (row >= rows) return;
      const kernels::RowTarget target = targets.Row(row);
      const float lse = lses[row], scale = step_block->loss_scale[loss] * target.weight;
      float v[kPack];
      LoadPack<kPack>(logits + thread * kPack, v);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const float wanted = kernels::TargetOfClass(target, column + i, smoothing, elsewhere);
        v[i] = target.label < 0 ? 0.0f : kernels::CrossEntropyGradient(v[i], lse, wanted, scale);
      }
      StorePack<kPack>(v, dlogits + thread * kPack);
    });
  }
};

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

/// Counts rows whose first largest logit is the label's.
template <typename T, int kPack>
struct CorrectRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    PlacedValue best[kThreads];
    int64_t correct[RowPlan::kMostRows];
  };

  const T* logits;
  const int32_t* labels;
  int64_t* block_counts;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    FirstLargestOfRows<kPack>(block, plan, logits, shared.best);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      shared.correct[plan.TeamOf(t)] = shared.best[t].place == labels[row] ? 1 : 0;
    });
    block.ForEachThread([&](int t) {
      if (t == 0) block_counts[block.index()] = SumOfRows(plan, block.index(), shared.correct);
    });
  }
};

/// Starts `rows`, which leaves a number per block in `by_block`, and adds those up.
template <typename Rows, typename T>
std::unique_ptr<Kernel> PrepareRowSums(DeviceStream& stream, const Rows& rows, const T* by_block, T* sum) {
  const int64_t blocks = rows.plan.blocks();
  return MakeKernel([=, stream = &stream] {
    Launch(*stream, blocks, rows);
    if (sum != nullptr) Launch(*stream, 1, AddUp<T>{by_block, blocks, sum});
  });
}

/// For the sums of the blocks: whatever its packs, a plan has no more blocks than rows.
size_t WorkspaceBytes(const OpContext& context) {
  return static_cast<size_t>(Rows(context.InputShape(0))) * sizeof(double);
}

/// Weights are operands from `first` on.
Targets TargetsOf(const KernelContext& context, size_t first) {
  return {.labels = context.Input<int32_t>(1),
          .weights = context.Input(first),
          .other_labels = context.Input<int32_t>(first + 1),
          .other_weights = context.Input(first + 2)};
}

std::unique_ptr<Kernel> PrepareCrossEntropy(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), classes = context.InputShape(0).dim(-1);
  auto* sums = reinterpret_cast<double*>(context.operands.workspace);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({classes}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const CrossEntropyRows<T, kPack> kernel{
          .logits = context.Input<T>(0),
          .targets = TargetsOf(context, 2),
          .lses = context.Output(1),
          .block_sums = sums,
          .plan = PlanRows(rows, classes, kPack),
          .smoothing = static_cast<double>(context.Attributes<LossAttributes>().label_smoothing)};
      return PrepareRowSums(context.stream, kernel, sums, context.Output<double>(0));
    });
  });
}

std::unique_ptr<Kernel> PrepareCrossEntropyGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), classes = context.InputShape(0).dim(-1);
  const auto& attributes = context.Attributes<LossAttributes>();
  const float smoothing = attributes.label_smoothing, elsewhere = smoothing / static_cast<float>(classes);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({classes}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const CrossEntropyGradient<T, kPack> kernel{.logits = context.Input<T>(0),
                                                  .targets = TargetsOf(context, 4),
                                                  .lses = context.Input(2),
                                                  .step_block = context.Input<graph::StepBlock>(3),
                                                  .dlogits = context.Output<T>(0),
                                                  .rows = rows,
                                                  .classes = classes,
                                                  .loss = attributes.loss,
                                                  .smoothing = smoothing,
                                                  .elsewhere = elsewhere};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.rows * kernel.classes, kernel.kThreads, kPack), kernel);
      });
    });
  });
}

std::unique_ptr<Kernel> PrepareSquaredError(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), columns = context.InputShape(0).dim(1);
  auto* sums = reinterpret_cast<double*>(context.operands.workspace);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const SquaredErrorRows<T> kernel{context.Input<T>(0), context.Input(1), context.Input(2), sums,
                                     PlanRows(rows, columns, 1)};
    return PrepareRowSums(context.stream, kernel, sums, context.Output<double>(0));
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

std::unique_ptr<Kernel> PrepareCountCorrect(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), classes = context.InputShape(0).dim(-1);
  auto* counts = reinterpret_cast<int64_t*>(context.operands.workspace);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({classes}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const CorrectRows<T, kPack> kernel{context.Input<T>(0), context.Input<int32_t>(1), counts,
                                         PlanRows(rows, classes, kPack)};
      return PrepareRowSums(context.stream, kernel, counts, context.Output<int64_t>(0));
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSoftmaxCrossEntropy, .prepare = PrepareCrossEntropy, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kSoftmaxCrossEntropyGrad, .prepare = PrepareCrossEntropyGrad},
    {.kind = OpKind::kCountCorrect, .prepare = PrepareCountCorrect, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kMeanSquaredError, .prepare = PrepareSquaredError, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kMeanSquaredErrorGrad, .prepare = PrepareSquaredErrorGrad},
};

}  // namespace

std::span<const KernelRow> LossRows() { return kRows; }

}  // namespace lockstep::cuda
