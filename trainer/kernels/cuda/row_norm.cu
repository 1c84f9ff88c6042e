// Layer and root mean square normalisation: each row of [rows, size] by itself, by a team of threads, read once and
// kept in registers where it fits; the gradients of weight and bias are reductions over the rows.
#include <cmath>
#include <type_traits>

#include "trainer/kernels/cuda/blocks/columns.h"
#include "trainer/kernels/cuda/blocks/kept_packs.h"
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

/// Where the statistics of rows are kept: their means, where they are centred, and one over their deviations.
struct SavedStatistics {
  const float *means, *inverses;
};

/// A layer norm's row: its mean, and one over its standard deviation.
struct LayerStatistics {
  static constexpr bool kCentred = true;

  float mean, inverse;

  static LOCKSTEP_HD LayerStatistics Saved(const SavedStatistics& saved, int64_t row) {
    return {saved.means[row], saved.inverses[row]};
  }
  LOCKSTEP_HD float Centred(float x) const { return x - mean; }
  LOCKSTEP_HD float Normalised(float x) const { return (x - mean) * inverse; }
  LOCKSTEP_HD float Result(float x, float weight, float bias) const {
    return kernels::Normalise(x, mean, inverse, weight, bias);
  }
};

/// An RMS norm's row: one over its root mean square. The mean is not used.
struct RmsStatistics {
  static constexpr bool kCentred = false;

  float mean, inverse;

  static LOCKSTEP_HD RmsStatistics Saved(const SavedStatistics& saved, int64_t row) { return {0, saved.inverses[row]}; }
  LOCKSTEP_HD float Centred(float x) const { return x; }
  LOCKSTEP_HD float Normalised(float x) const { return x * inverse; }
  LOCKSTEP_HD float Result(float x, float weight, float /*bias*/) const { return x * inverse * weight; }
};

/// Of x, or of x + other, which is then written to sum.
template <typename Statistics, typename T, int kPack, bool kKeep>
struct NormaliseRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float squares[kThreads];
    float sums[Statistics::kCentred ? kThreads : 1];
  };
  using Packs = std::conditional_t<kKeep, KeptPacks<T, kPack>, NothingKept>;
  struct Kept {
    Packs x, other;
  };
  using AllKept = PerThread<Kept, kThreads>;

  const T *x, *other;          ///< other absent: nullptr
  const float *weight, *bias;  ///< bias absent: nullptr
  T *y, *sum;
  float *means, *inverses;  ///< absent: nullptr
  RowPlan plan;
  float epsilon;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    AllKept kept;
    if constexpr (Statistics::kCentred) SumRows(block, shared.sums, kept);
    block.ForEachThreadOfGroups(plan.team, [&](int t) {
      const Statistics statistics{MeanOf(shared, t), 1};
      float squares = 0;
      Visit<!Statistics::kCentred>(block.index(), t, kept, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) squares += statistics.Centred(v[i]) * statistics.Centred(v[i]);
      });
      shared.squares[t] = squares;
    });
    SumTeams(block, plan, shared.squares);
    block.ForEachThreadAlone([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (row >= plan.rows) return;
      const float variance = shared.squares[plan.Leader(t)] / static_cast<float>(plan.size);
      const Statistics statistics{MeanOf(shared, t), 1.0f / sqrtf(variance + epsilon)};
      if (plan.Leads(t) && means != nullptr) means[row] = statistics.mean;
      if (plan.Leads(t) && inverses != nullptr) inverses[row] = statistics.inverse;
      WriteRow(block.index(), t, kept, statistics);
    });
  }

 private:
  /// Calls visit(values, i) for a thread's packs, which begin with element i of the row.
  template <bool kFirst, typename Visitor>
  LOCKSTEP_HD void Visit(int64_t block, int t, AllKept& kept, Visitor&& visit) const {
    const int64_t begin = plan.Row(block, t) * plan.size;
    ForEachKeptPack<kKeep, kPack>(plan, block, t, [&](int p, int64_t i) {
      float v[kPack];
      LoadKept<kPack, kFirst>(kept[t].x, p, x + begin + i, v);
      if (other != nullptr) {
        float more[kPack];
        LoadKept<kPack, kFirst>(kept[t].other, p, other + begin + i, more);
        LOCKSTEP_UNROLL
        for (int j = 0; j < kPack; ++j) v[j] += more[j];
      }
      visit(v, i);
    });
  }

  /// Each leader's sum becomes that of its row.
  template <typename Block>
  LOCKSTEP_HD void SumRows(Block& block, float* sums, AllKept& kept) const {
    block.ForEachThreadOfGroups(plan.team, [&](int t) {
      float sum_of_mine = 0;
      Visit<true>(block.index(), t, kept, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) sum_of_mine += v[i];
      });
      sums[t] = sum_of_mine;
    });
    SumTeams(block, plan, sums);
  }

  LOCKSTEP_HD float MeanOf(const Shared& shared, int t) const {
    if constexpr (Statistics::kCentred) return shared.sums[plan.Leader(t)] / static_cast<float>(plan.size);
    return 0;
  }

  /// The sum may lie over x: nothing is read behind it.
  LOCKSTEP_HD void WriteRow(int64_t block, int t, AllKept& kept, const Statistics& statistics) const {
    const int64_t begin = plan.Row(block, t) * plan.size;
    Visit<false>(block, t, kept, [&](const float* v, int64_t at) {
      float w[kPack], b[kPack] = {}, out[kPack];
      LoadPack<kPack>(weight + at, w);
      if (bias != nullptr) LoadPack<kPack>(bias + at, b);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) out[i] = statistics.Result(v[i], w[i], b[i]);
      if (sum != nullptr) StorePackWhole<kPack>(v, sum + begin + at);
      StorePackWhole<kPack>(out, y + begin + at);
    });
  }
};

/// dx = dsum + inverse (g - mean(g) - x_hat mean(g x_hat)), with g = dy weight; rows that are not centred have no
/// mean(g). dx may lie over dsum.
template <typename Statistics, typename T, int kPack, bool kKeep>
struct InputGradRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float products[kThreads];
    float sums[Statistics::kCentred ? kThreads : 1];
  };
  using Packs = std::conditional_t<kKeep, KeptPacks<T, kPack>, NothingKept>;
  struct Kept {
    Packs dy, x;
  };
  using AllKept = PerThread<Kept, kThreads>;

  const T *dsum, *dy, *x;  ///< dsum absent: nullptr
  const float* weight;
  SavedStatistics saved;
  T* dx;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    AllKept kept;
    block.ForEachThreadOfGroups(plan.team, [&](int t) {
      float sum = 0, product = 0;
      Visit<true>(block.index(), t, kept, [&](const float* g, const float* x_hat, float, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          sum += g[i];
          product += g[i] * x_hat[i];
        }
      });
      if constexpr (Statistics::kCentred) shared.sums[t] = sum;
      shared.products[t] = product;
    });
    if constexpr (Statistics::kCentred) SumTeams(block, plan, shared.sums);
    SumTeams(block, plan, shared.products);
    block.ForEachThreadAlone([&](int t) {
      const auto n = static_cast<float>(plan.size);
      float shift = 0;
      if constexpr (Statistics::kCentred) shift = shared.sums[plan.Leader(t)] / n;
      const float slope = shared.products[plan.Leader(t)] / n;
      Visit<false>(block.index(), t, kept, [&](const float* g, const float* x_hat, float inverse, int64_t at) {
        float out[kPack], more[kPack] = {};
        if (dsum != nullptr) LoadPack<kPack>(dsum + at, more);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) out[i] = inverse * (g[i] - shift - x_hat[i] * slope) + more[i];
        StorePackWhole<kPack>(out, dx + at);
      });
    });
  }

 private:
  /// Calls visit(g, x_hat, inverse, index in the matrix) for a thread's packs; none behind the last row.
  template <bool kFirst, typename Visitor>
  LOCKSTEP_HD void Visit(int64_t block, int t, AllKept& kept, Visitor&& visit) const {
    const int64_t row = plan.Row(block, t);
    if (row >= plan.rows) return;
    const Statistics statistics = Statistics::Saved(saved, row);
    ForEachKeptPack<kKeep, kPack>(plan, block, t, [&](int p, int64_t at) {
      float g[kPack], x_hat[kPack], w[kPack];
      LoadKept<kPack, kFirst>(kept[t].dy, p, dy + row * plan.size + at, g);
      LoadKept<kPack, kFirst>(kept[t].x, p, x + row * plan.size + at, x_hat);
      LoadPack<kPack>(weight + at, w);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        g[i] *= w[i];
        x_hat[i] = statistics.Normalised(x_hat[i]);
      }
      visit(g, x_hat, statistics.inverse, row * plan.size + at);
    });
  }
};

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

/// Calls run(T{}, pack, keep) with the type of activations, and constants: elements of a pack, and whether rows are
/// kept.
template <typename Run>
auto WithVariant(DType type, int64_t rows, int64_t size, Run&& run) {
  return WithElementType(type, [&]<typename T>(T) {
    return WithPack<T>({size}, [&]<int kPack>(std::integral_constant<int, kPack> pack) {
      if constexpr (kPack > 1) {
        if (KeepsRows<kPack>(PlanRows(rows, size, kPack))) return run(T{}, pack, std::true_type{});
      }
      return run(T{}, pack, std::false_type{});
    });
  });
}

/// Operands are x, weight, bias?, or, where `kAdds`, x and another summand in its place; the sum is then the first
/// result.
template <typename Statistics, bool kAdds>
std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  constexpr bool kCentred = Statistics::kCentred;
  constexpr size_t kMore = kAdds ? 1 : 0;
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithVariant(
      context.InputType(0), rows, size,
      [&]<typename T, int kPack, bool kKeep>(T, std::integral_constant<int, kPack>, std::bool_constant<kKeep>) {
        const NormaliseRows<Statistics, T, kPack, kKeep> kernel{
            .x = context.Input<T>(0),
            .other = kAdds ? context.Input<T>(1) : nullptr,
            .weight = context.Input(1 + kMore),
            .bias = kCentred ? context.Input(2 + kMore) : nullptr,
            .y = context.Output<T>(kMore),
            .sum = kAdds ? context.Output<T>(0) : nullptr,
            .means = kCentred ? context.Output(1 + kMore) : nullptr,
            .inverses = context.Output((kCentred ? 2 : 1) + kMore),
            .plan = PlanRows(rows, size, kPack),
            .epsilon = context.Attributes<graph::NormAttributes>().epsilon};
        return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.plan.blocks(), kernel); });
      });
}

template <typename Statistics>
size_t GradWorkspace(const OpContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({size}, [&](auto pack) {
      return ColumnReductionBytes(rows, size, pack, ParameterGrads<Statistics, T>::kValues);
    });
  });
}

/// Operands are dy, x, weight and statistics, behind dsum where `kAdds`.
template <typename Statistics, bool kAdds>
std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  constexpr bool kCentred = Statistics::kCentred;
  constexpr size_t kMore = kAdds ? 1 : 0;
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  const SavedStatistics saved{kCentred ? context.Input(3 + kMore) : nullptr, context.Input((kCentred ? 4 : 3) + kMore)};
  float* dbias = kCentred ? context.Output(2) : nullptr;
  return WithVariant(
      context.InputType(0), rows, size,
      [&]<typename T, int kPack, bool kKeep>(T, std::integral_constant<int, kPack>, std::bool_constant<kKeep>) {
        const T *dy = context.Input<T>(kMore), *x = context.Input<T>(1 + kMore);
        const ParameterGrads<Statistics, T> parameters{dy, x, saved, size, context.Output(1), dbias};
        const InputGradRows<Statistics, T, kPack, kKeep> input{.dsum = kAdds ? context.Input<T>(0) : nullptr,
                                                               .dy = dy,
                                                               .x = x,
                                                               .weight = context.Input(2 + kMore),
                                                               .saved = saved,
                                                               .dx = context.Output<T>(0),
                                                               .plan = PlanRows(rows, size, kPack)};
        auto* partial = reinterpret_cast<float*>(context.operands.workspace);
        return MakeKernel([=, stream = &context.stream] {
          if (parameters.dweight != nullptr || parameters.dbias != nullptr) {
            LaunchColumnReduction<kPack>(*stream, rows, size, parameters, partial);
          }
          if (input.dx != nullptr) Launch(*stream, input.plan.blocks(), input);
        });
      });
}

template <typename Statistics, bool kAdds>
constexpr KernelRow GradRow(OpKind kind) {
  return {.kind = kind, .prepare = PrepareGrad<Statistics, kAdds>, .workspace_bytes = GradWorkspace<Statistics>};
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kLayerNorm, .prepare = PrepareForward<LayerStatistics, false>},
    {.kind = OpKind::kAddLayerNorm, .prepare = PrepareForward<LayerStatistics, true>},
    {.kind = OpKind::kRmsNorm, .prepare = PrepareForward<RmsStatistics, false>},
    {.kind = OpKind::kAddRmsNorm, .prepare = PrepareForward<RmsStatistics, true>},
    GradRow<LayerStatistics, false>(OpKind::kLayerNormGrad),
    GradRow<LayerStatistics, true>(OpKind::kAddLayerNormGrad),
    GradRow<RmsStatistics, false>(OpKind::kRmsNormGrad),
    GradRow<RmsStatistics, true>(OpKind::kAddRmsNormGrad),
};

}  // namespace

std::span<const KernelRow> RowNormRows() { return kRows; }

}  // namespace lockstep::cuda
