// Layer and root mean square normalisation: each row of [rows, size] by itself, by a team of threads, read once and
// kept in registers where it fits.
#include "trainer/kernels/cuda/row_norm.h"

#include <cmath>

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using row_norm::LayerStatistics;
using row_norm::RmsStatistics;
using row_norm::WithVariant;

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

/// Operands are x, weight, bias?, or, where `kAdds`, x and another summand in its place; the sum is then the first
/// result.
template <typename Statistics, bool kAdds>
std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  constexpr bool kCentred = Statistics::kCentred;
  constexpr size_t kMore = kAdds ? 1 : 0;
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithVariant(
      context.InputType(0), rows, size, kRowThreads,
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

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kLayerNorm, .prepare = PrepareForward<LayerStatistics, false>},
    {.kind = OpKind::kAddLayerNorm, .prepare = PrepareForward<LayerStatistics, true>},
    {.kind = OpKind::kRmsNorm, .prepare = PrepareForward<RmsStatistics, false>},
    {.kind = OpKind::kAddRmsNorm, .prepare = PrepareForward<RmsStatistics, true>},
};

}  // namespace

std::span<const KernelRow> RowNormRows() { return kRows; }

}  // namespace lockstep::cuda
