// Softmax cross entropy, a team of threads per row. Logits are read once for all that the forward pass wants of them,
// and once for the gradient, which may be written over them: in training right behind each other, while the row is
// still in the cache. Rows may begin anywhere: what lies before their first and behind their last 16 bytes is done
// element by element.
#include <cmath>
#include <limits>

#include "trainer/graph/step_block.h"
#include "trainer/kernels/cuda/blocks/fused_math.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/row_sums.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::LossAttributes;
using graph::OpKind;

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();
/// Below every logit but -infinity, whose distance to it is infinite and not no number.
constexpr float kBelowLogits = -std::numeric_limits<float>::max();
constexpr int32_t kNowhere = std::numeric_limits<int32_t>::max();

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

/// What is known of some of a row's logits.
struct alignas(16) RowPart {
  float largest = kBelowLogits;
  float exponentials = 0;    ///< the sum of e^(logit - largest)
  float sum = 0;             ///< of logits
  int32_t place = kNowhere;  ///< of the first largest
};

/// The next part adds to `exponentials`.
LOCKSTEP_HD float AddExp(float exponentials, float distance) {
  const SplitExp e = ExpBelowOne(distance);
  return Fma(e.mantissa, e.power, exponentials);
}

LOCKSTEP_HD RowPart Join(const RowPart& a, const RowPart& b) {
  const bool second = b.largest > a.largest || (b.largest == a.largest && b.place < a.place);
  const float largest = second ? b.largest : a.largest;
  return {largest, Fma(a.exponentials, Exp(a.largest - largest), b.exponentials * Exp(b.largest - largest)),
          a.sum + b.sum, second ? b.place : a.place};
}

/// What a block's threads share of its rows.
template <int kThreads>
struct SharedRows {
  RowPart parts[kThreads];
  double losses[RowPlan::kMostRows];
  int64_t correct[RowPlan::kMostRows];
};

/// Reads a block's rows once: their losses, and whether they are right.
template <typename T, int kBlockThreads = kRowThreads>
struct CrossEntropyOfRows {
  static constexpr int kThreads = kBlockThreads;
  static constexpr int kPack = 16 / sizeof(T);
  using Shared = SharedRows<kThreads>;

  const T* logits;
  Targets targets;
  float* lses;  ///< absent: nullptr
  double* block_sums;
  int64_t* block_counts;
  RowPlan plan;
  double smoothing;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Read(block, block.template SharedAs<Shared>());
  }

  /// Leaves each row's whole part with the leader of its team.
  template <typename Block>
  LOCKSTEP_HD void Read(Block& block, Shared& shared) const {
    block.ForEachThread([&](int t) { shared.parts[t] = PartOf(plan.Row(block.index(), t), t); });
    FoldTeams(block, plan, shared.parts, [](const RowPart& a, const RowPart& b) { return Join(a, b); });
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      const RowPart whole = shared.parts[t];
      const double lse = static_cast<double>(whole.largest) + kernels::Log(static_cast<double>(whole.exponentials));
      if (lses != nullptr) lses[row] = static_cast<float>(lse);
      shared.losses[plan.TeamOf(t)] = Loss(row, lse, static_cast<double>(whole.sum));
      shared.correct[plan.TeamOf(t)] = whole.place == targets.labels[row] ? 1 : 0;
    });
    block.ForEachThread([&](int t) {
      if (t != 0) return;
      block_sums[block.index()] = SumOfRows(plan, block.index(), shared.losses);
      block_counts[block.index()] = SumOfRows(plan, block.index(), shared.correct);
    });
  }

 private:
  /// Of this thread's logits. The sum is brought to another largest where there is one, which soon is rare.
  LOCKSTEP_HD RowPart PartOf(int64_t row, int t) const {
    RowPart part;
    if (row >= plan.rows) return part;
    const T* const from = logits + plan.Begin(row);
    const auto add_pack = [&](int64_t at) {
      float v[kPack];
      LoadPack<kPack>(from + at, v);
      float largest = v[0];
      LOCKSTEP_UNROLL
      for (int i = 1; i < kPack; ++i) largest = fmaxf(v[i], largest);
      if (largest > part.largest) {
        part.exponentials *= Exp(part.largest - largest);
        part.largest = largest;
        LOCKSTEP_UNROLL
        for (int i = kPack - 1; i >= 0; --i) part.place = v[i] == largest ? static_cast<int32_t>(at) + i : part.place;
      }
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) part.exponentials = AddExp(part.exponentials, v[i] - part.largest);
      if (smoothing > 0) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) part.sum += v[i];
      }
    };
    const auto add_element = [&](int64_t at) {
      const float v = ToFloat(from[at]);
      part = Join(part, {v, 1, v, static_cast<int32_t>(at)});
    };
    plan.ForEachAlignedPack<kPack>(row, t, add_pack, add_element);
    return part;
  }

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
    const auto logit = static_cast<double>(ToFloat(logits[plan.Begin(row) + target.label]));
    if (target.other < 0) return logit;
    const auto share = static_cast<double>(target.share);
    return share * logit + (1.0 - share) * static_cast<double>(ToFloat(logits[plan.Begin(row) + target.other]));
  }
};

/// What makes logits probabilities: e^(logit - shift) factor.
struct Softmax {
  float shift, factor;
};

/// dlogits = (softmax - target) scale; dlogits may lie over logits. What a row is trained towards is looked up once: of
/// its classes all but one or two have the same target.
template <typename T>
struct GradientOfRows {
  static constexpr int kPack = 16 / sizeof(T);

  const T* logits;
  Targets targets;
  const graph::StepBlock* step_block;
  T* dlogits;
  RowPlan plan;
  int loss;
  float smoothing, elsewhere;

  struct Row {
    kernels::RowTarget target;
    Softmax softmax;
    float scale;
  };

  /// What thread t writes of row `at`.
  LOCKSTEP_HD void WriteRow(int64_t at, int t, const Softmax& softmax) const {
    const kernels::RowTarget target = targets.Row(at);
    if (target.label < 0) return WriteZeros(at, t);
    const Row row{target, softmax, step_block->loss_scale[loss] * target.weight};
    plan.ForEachAlignedPack<kPack>(
        at, t, [&](int64_t column) { Write<kPack>(row, plan.Begin(at), column); },
        [&](int64_t column) { Write<1>(row, plan.Begin(at), column); });
  }

 private:
  LOCKSTEP_HD void WriteZeros(int64_t at, int t) const {
    constexpr float kZeros[kPack] = {};
    T* const row = dlogits + plan.Begin(at);
    plan.ForEachAlignedPack<kPack>(
        at, t, [&](int64_t column) { StorePack<kPack>(kZeros, row + column); },
        [&](int64_t column) { row[column] = FromFloat<T>(0.0f); });
  }
  template <int kCount>
  LOCKSTEP_HD void Write(const Row& row, int64_t begin, int64_t column) const {
    float v[kCount];
    LoadPack<kCount>(logits + begin + column, v);
    const float factor = row.softmax.factor * row.scale, elsewhere_scaled = elsewhere * row.scale;
    const bool special = Holds<kCount>(row.target.label, column) || Holds<kCount>(row.target.other, column);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const SplitExp e = ExpBelowOne(v[i] - row.softmax.shift);
      v[i] = e.mantissa * e.power;
    }
    if (special) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kCount; ++i)
        v[i] = (v[i] * row.softmax.factor - kernels::TargetOfClass(row.target, column + i, smoothing, elsewhere)) *
               row.scale;
    } else {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kCount; ++i) v[i] = Fma(v[i], factor, -elsewhere_scaled);
    }
    StorePackWhole<kCount>(v, dlogits + begin + column);
  }
  /// Whether `label` is one of kCount classes from `column` on.
  template <int kCount>
  static LOCKSTEP_HD bool Holds(int32_t label, int64_t column) {
    return static_cast<uint32_t>(label) - static_cast<uint32_t>(column) < static_cast<uint32_t>(kCount);
  }
};

template <typename T>
struct CrossEntropyGradient {
  static constexpr int kThreads = kRowThreads;

  GradientOfRows<T> gradient;
  const float* lses;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t row = gradient.plan.Row(block.index(), t);
      if (row < gradient.plan.rows) gradient.WriteRow(row, t, {lses[row], 1.0f});
    });
  }
};

/// Both: each row is read twice, and the second time written.
template <typename T, int kBlockThreads>
struct CrossEntropyTrain {
  static constexpr int kThreads = kBlockThreads;
  using Rows = CrossEntropyOfRows<T, kThreads>;

  Rows rows;
  GradientOfRows<T> gradient;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    auto& shared = block.template SharedAs<typename Rows::Shared>();
    rows.Read(block, shared);
    block.ForEachThreadAlone([&](int t) {
      const int64_t row = rows.plan.Row(block.index(), t);
      if (row >= rows.plan.rows) return;
      const RowPart& whole = shared.parts[rows.plan.Leader(t)];
      gradient.WriteRow(row, t, {whole.largest, 1.0f / whole.exponentials});
    });
  }
};

/// For the sums and counts of the blocks: whatever its packs, a plan has no more blocks than rows.
size_t WorkspaceBytes(const OpContext& context) {
  return static_cast<size_t>(Rows(context.InputShape(0))) * (sizeof(double) + sizeof(int64_t));
}

/// Rows of logits, which may be apart (graph::Value::pitch).
template <int kPack>
RowPlan PlanLogits(const OpContext& context, int threads = kRowThreads) {
  const Shape& shape = context.InputShape(0);
  RowPlan plan = PlanRows(Rows(shape), shape.dim(-1), kPack, threads);
  plan.pitch = context.InputPitch(0);
  return plan;
}

/// Weights are operands from `first` on.
Targets TargetsOf(const KernelContext& context, size_t first) {
  return {.labels = context.Input<int32_t>(1),
          .weights = context.Input(first),
          .other_labels = context.Input<int32_t>(first + 1),
          .other_weights = context.Input(first + 2)};
}

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0));
  auto* const sums = reinterpret_cast<double*>(context.operands.workspace);
  auto* const counts = reinterpret_cast<int64_t*>(sums + rows);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    using Forward = CrossEntropyOfRows<T>;
    const Forward kernel{.logits = context.Input<T>(0),
                         .targets = TargetsOf(context, 2),
                         .lses = context.Output(1),
                         .block_sums = sums,
                         .block_counts = counts,
                         .plan = PlanLogits<Forward::kPack>(context),
                         .smoothing = static_cast<double>(context.Attributes<LossAttributes>().label_smoothing)};
    return MakeKernel(
        [kernel, sum = context.Output<double>(0), correct = context.Output<int64_t>(2), stream = &context.stream] {
          Launch(*stream, kernel.plan.blocks(), kernel);
          LaunchSumOfBlocks(*stream, kernel.plan, kernel.block_sums, sum);
          LaunchSumOfBlocks(*stream, kernel.plan, kernel.block_counts, correct);
        });
  });
}

/// dlogits' rows are as far apart as logits' (passes::PadRows). The step block is operand `step_block`, and weights
/// follow it.
template <typename T>
GradientOfRows<T> GradientOf(const KernelContext& context, size_t step_block, const RowPlan& plan) {
  const auto& attributes = context.Attributes<LossAttributes>();
  return {.logits = context.Input<T>(0),
          .targets = TargetsOf(context, step_block + 1),
          .step_block = context.Input<graph::StepBlock>(step_block),
          .dlogits = context.Output<T>(0),
          .plan = plan,
          .loss = attributes.loss,
          .smoothing = attributes.label_smoothing,
          .elsewhere = attributes.label_smoothing / static_cast<float>(plan.size)};
}

std::unique_ptr<Kernel> PrepareGradient(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const RowPlan plan = PlanLogits<GradientOfRows<T>::kPack>(context);
    const CrossEntropyGradient<T> kernel{.gradient = GradientOf<T>(context, 3, plan), .lses = context.Input(2)};
    return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.gradient.plan.blocks(), kernel); });
  });
}

/// Threads that take a long row between them. A processor has registers for two such blocks, so that one reads while
/// the other adds up, and the rows of all blocks that run at once are still in the second-level cache when they are
/// read again: GPT-2's are 100 kB each, 26 MB of the 50 of an H200.
constexpr int kLongRowThreads = 512;

template <typename T, int kThreads>
std::unique_ptr<Kernel> PrepareTrainBy(const KernelContext& context) {
  using Train = CrossEntropyTrain<T, kThreads>;
  const RowPlan plan = PlanLogits<Train::Rows::kPack>(context, kThreads);
  auto* const sums = reinterpret_cast<double*>(context.operands.workspace);
  auto* const counts = reinterpret_cast<int64_t*>(sums + plan.rows);
  const Train kernel{.rows = {.logits = context.Input<T>(0),
                              .targets = TargetsOf(context, 3),
                              .lses = nullptr,
                              .block_sums = sums,
                              .block_counts = counts,
                              .plan = plan,
                              .smoothing = static_cast<double>(context.Attributes<LossAttributes>().label_smoothing)},
                     .gradient = GradientOf<T>(context, 2, plan)};
  return MakeKernel(
      [kernel, sum = context.Output<double>(1), correct = context.Output<int64_t>(2), stream = &context.stream] {
        Launch(*stream, kernel.rows.plan.blocks(), kernel);
        LaunchSumOfBlocks(*stream, kernel.rows.plan, kernel.rows.block_sums, sum);
        LaunchSumOfBlocks(*stream, kernel.rows.plan, kernel.rows.block_counts, correct);
      });
}

std::unique_ptr<Kernel> PrepareTrain(const KernelContext& context) {
  const int64_t classes = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    constexpr int64_t kShortRow = int64_t{kRowThreads} * kRowPacks * (16 / sizeof(T));
    if (classes <= kShortRow) return PrepareTrainBy<T, kRowThreads>(context);
    return PrepareTrainBy<T, kLongRowThreads>(context);
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSoftmaxCrossEntropy, .prepare = PrepareForward, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kSoftmaxCrossEntropyGrad, .prepare = PrepareGradient},
    {.kind = OpKind::kSoftmaxCrossEntropyTrain, .prepare = PrepareTrain, .workspace_bytes = WorkspaceBytes},
};

}  // namespace

std::span<const KernelRow> CrossEntropyRows() { return kRows; }

}  // namespace lockstep::cuda
