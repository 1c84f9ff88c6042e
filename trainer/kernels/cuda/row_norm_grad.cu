// The gradients of layer and root mean square normalisation: of x by rows, of weight and bias by sums over the rows.
// Where a team of threads keeps a row in registers, one kernel does both, and dy and x are read once: its threads have
// the same columns of every row that they come to, and sum what these give to weight and bias on the way. Longer rows
// are read once more for the sums.
#include <algorithm>

#include "trainer/kernels/cuda/blocks/columns.h"
#include "trainer/kernels/cuda/row_norm.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using row_norm::LayerStatistics;
using row_norm::RmsStatistics;
using row_norm::SavedStatistics;
using row_norm::WithVariant;

/// dweight = the sum of dy x_hat over the rows; dbias, where rows are centred, that of dy.
template <typename Statistics, typename T>
struct ParameterGrads {
  static constexpr int kValues = Statistics::kCentred ? 2 : 1;

  const T *dy, *x;
  SavedStatistics saved;
  int64_t size;
  float *dweight, *dbias;  ///< absent: nullptr

  template <int kPack>
  struct Reader {
    const T *dy, *x;
    SavedStatistics saved;
    int64_t size;

    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float /*seen*/, float (&values)[kValues][kPack]) const {
      float g[kRows][kPack], v[kRows][kPack];
      Statistics statistics[kRows];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const int64_t at = row + int64_t{r} * step;
        LoadPack<kPack>(dy + at * size, g[r]);
        LoadPack<kPack>(x + at * size, v[r]);
        statistics[r] = Statistics::Saved(saved, at);
      }
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          values[0][i] += g[r][i] * statistics[r].Normalised(v[r][i]);
          if constexpr (Statistics::kCentred) values[1][i] += g[r][i];
        }
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {dy + column, x + column, saved, size};
  }
  template <typename S>
  static LOCKSTEP_HD void Combine(S* values, const S* others, S, S) {
    AddValues<kValues>(values, others);
  }
  LOCKSTEP_HD void Finish(int64_t column, const double* values) const {
    if (dweight != nullptr) dweight[column] = static_cast<float>(values[0]);
    if constexpr (Statistics::kCentred) {
      if (dbias != nullptr) dbias[column] = static_cast<float>(values[1]);
    }
  }
};

/// Threads that keep sums beside their rows need 168 registers: of blocks of so many a processor has three at once, and
/// one waits for its rows while another computes.
constexpr int kGradThreads = 128;

/// How a matrix is cut into slices of rows, one for each block, where its threads sum as they go: no more than an H200
/// has at once, so that none is left for a second wave, and few enough that what they sum is little beside the matrix.
/// A slice is whole turns of the block's teams.
ColumnPlan PlanSlices(const RowPlan& rows) {
  constexpr int kMostSlices = 384;
  const int unit = rows.rows_per_block();
  ColumnPlan plan{.rows = rows.rows, .columns = rows.size};
  plan.slice_rows = BlocksFor(BlocksFor(rows.rows, 1, kMostSlices), unit, 1) * unit;
  plan.slices = BlocksFor(rows.rows, 1, static_cast<int>(plan.slice_rows));
  return plan;
}

/// dx = dsum + inverse (g - mean(g) - x_hat mean(g x_hat)), with g = dy weight; rows that are not centred have no
/// mean(g). dx may lie over dsum. Where rows are kept, each block's partial sums of dy x_hat, and of dy, go to
/// partial[(block kValues + value) size + column].
template <typename Statistics, typename T, int kPack, bool kKeep>
struct InputGradRows {
  static constexpr int kThreads = kGradThreads;
  static constexpr int kValues = ParameterGrads<Statistics, T>::kValues;
  struct Shared {
    float products[kThreads];
    float sums[Statistics::kCentred ? kThreads : 1];
    alignas(32) float packs[kKeep ? kValues : 1][kKeep ? kThreads * kPack : 1];
  };
  using Packs = std::conditional_t<kKeep, KeptPacks<T, kPack>, NothingKept>;
  struct Kept {
    Packs dy, x;
  };
  using AllKept = PerThread<Kept, kThreads>;
  /// By value, pack and element: of the columns that the thread has in all rows.
  struct Sums {
    float at[kKeep ? kValues : 1][kRowPacks][kPack];
  };
  using AllSums = PerThread<Sums, kThreads>;

  const T *dsum, *dy, *x;  ///< dsum absent: nullptr
  const float* weight;
  SavedStatistics saved;
  T* dx;
  RowPlan plan;
  int64_t turns;   ///< of the block's teams, a row each
  float* partial;  ///< absent: nullptr

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    AllKept kept;
    AllSums sums;
    if constexpr (kKeep) block.ForEachThreadAlone([&](int t) { sums[t] = {}; });
    for (int64_t turn = block.index() * turns; turn < (block.index() + 1) * turns; ++turn) {
      AddUp(block, turn, shared, kept, sums);
      WriteRows(block, turn, shared, kept);
    }
    if constexpr (kKeep) {
      if (partial != nullptr) WritePartialSums(block, shared, sums);
    }
  }

 private:
  template <typename Block>
  LOCKSTEP_HD void AddUp(Block& block, int64_t turn, Shared& shared, AllKept& kept, AllSums& sums) const {
    block.ForEachThreadOfGroups(plan.team, [&](int t) {
      float sum = 0, product = 0;
      Visit<true>(turn, t, kept, [&](int p, const float* v, const float* w, const float* x_hat, float, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          const float g = v[i] * w[i];
          sum += g;
          product += g * x_hat[i];
          if constexpr (kKeep) {
            sums[t].at[0][p][i] += v[i] * x_hat[i];
            if constexpr (Statistics::kCentred) sums[t].at[1][p][i] += v[i];
          }
        }
      });
      if constexpr (Statistics::kCentred) shared.sums[t] = sum;
      shared.products[t] = product;
    });
    if constexpr (Statistics::kCentred) SumTeams(block, plan, shared.sums);
    SumTeams(block, plan, shared.products);
  }

  /// The barrier behind it is for the next turn, which writes what a team reads here.
  template <typename Block>
  LOCKSTEP_HD void WriteRows(Block& block, int64_t turn, const Shared& shared, AllKept& kept) const {
    block.ForEachThreadOfGroups(plan.team, [&](int t) {
      const auto n = static_cast<float>(plan.size);
      float shift = 0;
      if constexpr (Statistics::kCentred) shift = shared.sums[plan.Leader(t)] / n;
      const float slope = shared.products[plan.Leader(t)] / n;
      Visit<false>(turn, t, kept,
                   [&](int, const float* v, const float* w, const float* x_hat, float inverse, int64_t at) {
                     float out[kPack], more[kPack] = {};
                     if (dsum != nullptr) LoadPack<kPack>(dsum + at, more);
                     LOCKSTEP_UNROLL
                     for (int i = 0; i < kPack; ++i)
                       out[i] = inverse * (v[i] * w[i] - shift - x_hat[i] * slope) + more[i];
                     StorePackWhole<kPack>(out, dx + at);
                   });
    });
  }

  /// Teams are added in order, a pack of all threads after the other.
  template <typename Block>
  LOCKSTEP_HD void WritePartialSums(Block& block, Shared& shared, AllSums& sums) const {
    LOCKSTEP_UNROLL
    for (int p = 0; p < kRowPacks; ++p) {
      block.ForEachThread([&](int t) {
        LOCKSTEP_UNROLL
        for (int v = 0; v < kValues; ++v) StorePack<kPack>(sums[t].at[v][p], &shared.packs[v][t * kPack]);
      });
      block.ForEachThread([&](int t) {
        const int64_t column = (int64_t{t} + int64_t{p} * plan.team) * kPack;
        if (t >= plan.team || column >= plan.size) return;
        LOCKSTEP_UNROLL
        for (int v = 0; v < kValues; ++v) {
          float sum[kPack] = {};
          LOCKSTEP_ROLLED
          for (int team = 0; team < plan.rows_per_block(); ++team) {
            float more[kPack];
            LoadPack<kPack>(&shared.packs[v][(team * plan.team + t) * kPack], more);
            LOCKSTEP_UNROLL
            for (int i = 0; i < kPack; ++i) sum[i] += more[i];
          }
          StorePack<kPack>(sum, partial + (block.index() * kValues + v) * plan.size + column);
        }
      });
    }
  }

  /// Calls visit(p, dy, weight, x_hat, inverse, index in the matrix) for a thread's packs; none behind the last row.
  template <bool kFirst, typename Visitor>
  LOCKSTEP_HD void Visit(int64_t turn, int t, AllKept& kept, Visitor&& visit) const {
    const int64_t row = plan.Row(turn, t);
    if (row >= plan.rows) return;
    const Statistics statistics = Statistics::Saved(saved, row);
    ForEachKeptPack<kKeep, kPack>(plan, turn, t, [&](int p, int64_t at) {
      float v[kPack], x_hat[kPack], w[kPack];
      LoadKept<kPack, kFirst>(kept[t].dy, p, dy + row * plan.size + at, v);
      LoadKept<kPack, kFirst>(kept[t].x, p, x + row * plan.size + at, x_hat);
      LoadPack<kPack>(weight + at, w);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) x_hat[i] = statistics.Normalised(x_hat[i]);
      visit(p, v, w, x_hat, statistics.inverse, row * plan.size + at);
    });
  }
};

template <typename Statistics>
size_t GradWorkspace(const OpContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithVariant(
      context.InputType(0), rows, size, kGradThreads,
      [&]<typename T, int kPack, bool kKeep>(T, std::integral_constant<int, kPack>, std::bool_constant<kKeep>) {
        constexpr int kValues = ParameterGrads<Statistics, T>::kValues;
        const size_t own = ColumnReductionBytes(rows, size, kPack, kValues);
        if (!kKeep) return own;
        const int64_t slices = PlanSlices(PlanRows(rows, size, kPack, kGradThreads)).slices;
        return std::max(own, static_cast<size_t>(slices * kValues * size) * sizeof(float));
      });
}

/// Operands are dy, x, weight and statistics, behind dsum where `kAdds`. Where x's gradient is not wanted, rows are not
/// gone through.
template <typename Statistics, bool kAdds>
std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  constexpr bool kCentred = Statistics::kCentred;
  constexpr size_t kMore = kAdds ? 1 : 0;
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  const SavedStatistics saved{kCentred ? context.Input(3 + kMore) : nullptr, context.Input((kCentred ? 4 : 3) + kMore)};
  float* dbias = kCentred ? context.Output(2) : nullptr;
  return WithVariant(
      context.InputType(0), rows, size, kGradThreads,
      [&]<typename T, int kPack, bool kKeep>(T, std::integral_constant<int, kPack>, std::bool_constant<kKeep>) {
        const T *dy = context.Input<T>(kMore), *x = context.Input<T>(1 + kMore);
        const ParameterGrads<Statistics, T> parameters{dy, x, saved, size, context.Output(1), dbias};
        const bool wanted = parameters.dweight != nullptr || parameters.dbias != nullptr;
        auto* partial = reinterpret_cast<float*>(context.operands.workspace);
        const RowPlan plan = PlanRows(rows, size, kPack, kGradThreads);
        const ColumnPlan slices = PlanSlices(plan);
        const InputGradRows<Statistics, T, kPack, kKeep> input{
            .dsum = kAdds ? context.Input<T>(0) : nullptr,
            .dy = dy,
            .x = x,
            .weight = context.Input(2 + kMore),
            .saved = saved,
            .dx = context.Output<T>(0),
            .plan = plan,
            .turns = kKeep ? slices.slice_rows / plan.rows_per_block() : 1,
            .partial = kKeep && wanted ? partial : nullptr};
        return MakeKernel([=, stream = &context.stream] {
          const bool together = input.dx != nullptr && input.partial != nullptr;
          if (wanted && !together) LaunchColumnReduction<kPack>(*stream, rows, size, parameters, partial);
          if (input.dx != nullptr) Launch(*stream, kKeep ? slices.slices : plan.blocks(), input);
          if (together) LaunchColumnFinish(*stream, slices, parameters, partial);
        });
      });
}

template <typename Statistics, bool kAdds>
constexpr KernelRow GradRow(OpKind kind) {
  return {.kind = kind, .prepare = PrepareGrad<Statistics, kAdds>, .workspace_bytes = GradWorkspace<Statistics>};
}

constexpr KernelRow kRows[] = {
    GradRow<LayerStatistics, false>(OpKind::kLayerNormGrad),
    GradRow<LayerStatistics, true>(OpKind::kAddLayerNormGrad),
    GradRow<RmsStatistics, false>(OpKind::kRmsNormGrad),
    GradRow<RmsStatistics, true>(OpKind::kAddRmsNormGrad),
};

}  // namespace

std::span<const KernelRow> RowNormGradRows() { return kRows; }

}  // namespace lockstep::cuda
