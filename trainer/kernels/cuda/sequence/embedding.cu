// Embeddings: rows of a table, looked up, and their gradient. An id that the table lacks gives not-a-number, which
// stops the run.
#include <limits>

#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/sequence/id_order.h"
#include "trainer/kernels/cuda/sequence/turns.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::EmbeddingAttributes;
using graph::OpKind;

constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

template <typename T, int kPack>
struct LookUp {
  static constexpr int kThreads = 256;

  const int32_t* ids;
  const float *table, *position_table;  ///< [entries, channels]; [at least positions, channels] or nullptr
  T* y;
  int64_t size, positions, channels, entries;  ///< of y; ..
  float scale;
  Positions counted;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = (block.index() * kThreads + t) * kPack;
      if (at >= size) return;
      const Quotient token = Divide(at, channels);
      const int64_t channel = token.remainder, id = ids[token.quotient];
      float v[kPack], p[kPack] = {};
      if (id >= 0 && id < entries) {
        LoadPack<kPack>(table + id * channels + channel, v);
      } else {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) v[i] = id < 0 ? 0.0f : kNotANumber;
      }
      if (position_table != nullptr) {
        LoadPack<kPack>(position_table + counted.Of(token.quotient, positions) * channels + channel, p);
      }
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) v[i] = v[i] * scale + p[i];
      StorePack<kPack>(v, y + at);
    });
  }
};

/// sum += rows[0] + .. in order: several are read at once.
template <int kPack, typename T, typename Row>
LOCKSTEP_HD void AddRows(int64_t begin, int64_t end, const Row& row, float (&sum)[kPack]) {
  constexpr int kAtOnce = 8;
  int64_t i = begin;
  for (; i + kAtOnce <= end; i += kAtOnce) {
    Pack<T, kPack> rows[kAtOnce];
    LOCKSTEP_UNROLL
    for (int r = 0; r < kAtOnce; ++r) rows[r] = *reinterpret_cast<const Pack<T, kPack>*>(row(i + r));
    LOCKSTEP_UNROLL
    for (int r = 0; r < kAtOnce; ++r) {
      LOCKSTEP_UNROLL
      for (int k = 0; k < kPack; ++k) sum[k] += ToFloat(rows[r].at[k]);
    }
  }
  for (; i < end; ++i) {
    float v[kPack];
    LoadPack<kPack>(row(i), v);
    LOCKSTEP_UNROLL
    for (int k = 0; k < kPack; ++k) sum[k] += v[k];
  }
}

/// Each row of the table's gradient: its tokens' gradients, added in the order of positions.
template <typename T, int kPack>
struct SumTokens {
  static constexpr int kThreads = kRowThreads;

  const T* dy;
  const IdPosition* sorted;
  const int32_t* starts;
  float* dtable;
  RowPlan plan;
  float scale;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (row >= plan.rows) return;
      const int32_t begin = starts[row], end = starts[row + 1];
      plan.ForEachPack<kPack>(t, [&](int64_t channel) {
        float sum[kPack] = {};
        AddRows<kPack, T>(
            begin, end, [&](int64_t i) { return dy + sorted[i].position * plan.size + channel; }, sum);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) sum[i] *= scale;
        StorePack<kPack>(sum, dtable + row * plan.size + channel);
      });
    });
  }
};

/// Each position's gradient: summed over the batch in order. Positions that no sample has get zeros.
template <typename T, int kPack>
struct SumPositions {
  static constexpr int kThreads = 256;

  const T* dy;
  float* dposition;
  int64_t size, batch, positions, channels;  ///< of dposition; ..

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = (block.index() * kThreads + t) * kPack;
      if (at >= size) return;
      float sum[kPack] = {};
      if (at < positions * channels) {
        AddRows<kPack, T>(
            0, batch, [&](int64_t i) { return dy + i * positions * channels + at; }, sum);
      }
      StorePack<kPack>(sum, dposition + at);
    });
  }
};

SinusoidTable Sinusoids(const OpContext& context, void* workspace) {
  const int64_t positions =
      context.HasInput(3) ? context.Attributes<EmbeddingAttributes>().positions : context.InputShape(0).dim(-1);
  return {static_cast<float*>(workspace), positions, context.InputShape(1).dim(1)};
}

size_t Workspace(const OpContext& context) {
  if (!context.Attributes<EmbeddingAttributes>().sinusoids) return 0;
  return static_cast<size_t>(Sinusoids(context, nullptr).size()) * sizeof(float);
}

std::unique_ptr<Kernel> PrepareEmbedding(const KernelContext& context) {
  const auto& attributes = context.Attributes<EmbeddingAttributes>();
  const Shape& table = context.InputShape(1);
  return WithElementType(context.OutputType(0), [&]<typename T>(T) {
    return WithPack<T>({table.dim(1)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      LookUp<T, kPack> kernel{.ids = context.Input<int32_t>(0),
                              .table = context.Input(1),
                              .position_table = context.Input(2),
                              .y = context.Output<T>(0),
                              .size = context.OutputShape(0).size(),
                              .positions = context.InputShape(0).dim(-1),
                              .channels = table.dim(1),
                              .entries = table.dim(0),
                              .scale = attributes.scale,
                              .counted = {context.Input<int32_t>(3),
                                          context.HasInput(2) ? context.InputShape(2).dim(0) : attributes.positions}};
      const SinusoidTable sinusoids = Sinusoids(context, context.operands.workspace);
      if (attributes.sinusoids) kernel.position_table = sinusoids.table;
      return MakeKernel([=, makes_table = attributes.sinusoids, stream = &context.stream] {
        if (makes_table) LaunchTable(*stream, sinusoids);
        Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, kPack), kernel);
      });
    });
  });
}

size_t GradWorkspace(const OpContext& context) {
  if (!context.HasOutput(0)) return 0;
  return IdOrderBytes(context.InputShape(1).size(), context.Attributes<EmbeddingAttributes>().table.dim(0));
}

/// A pack per thread, as far as a team goes: the sums of frequent ids are long.
RowPlan PlanTable(int64_t rows, int64_t size, int pack) {
  RowPlan plan{.rows = rows, .size = size};
  while (plan.team < kRowThreads && int64_t{plan.team} * pack < size) plan.team *= 2;
  return plan;
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const auto& attributes = context.Attributes<EmbeddingAttributes>();
  const Shape& id = context.InputShape(1);
  const auto* ids = context.Input<int32_t>(1);
  const int64_t entries = attributes.table.dim(0), channels = attributes.table.dim(1);
  const IdOrder order = context.HasOutput(0) ? IdOrderIn(context.operands.workspace, id.size(), entries) : IdOrder{};
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({channels}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const auto* dy = context.Input<T>(0);
      const SumTokens<T, kPack> table{
          dy, order.sorted, order.starts, context.Output(0), PlanTable(entries, channels, kPack), attributes.scale};
      const bool has_positions = attributes.position.rank() > 0;
      const SumPositions<T, kPack> positions{.dy = dy,
                                             .dposition = has_positions ? context.Output(1) : nullptr,
                                             .size = has_positions ? attributes.position.size() : 0,
                                             .batch = id.size() / id.dim(-1),
                                             .positions = id.dim(-1),
                                             .channels = channels};
      return MakeKernel([=, stream = &context.stream] {
        if (table.dtable != nullptr) {
          LaunchIdOrder(*stream, ids, order);
          Launch(*stream, table.plan.blocks(), table);
        }
        if (positions.dposition != nullptr) {
          Launch(*stream, BlocksFor(positions.size, positions.kThreads, kPack), positions);
        }
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kEmbedding, .prepare = PrepareEmbedding, .workspace_bytes = Workspace},
    {.kind = OpKind::kEmbeddingGrad, .prepare = PrepareGrad, .workspace_bytes = GradWorkspace},
};

}  // namespace

std::span<const KernelRow> EmbeddingRows() { return kRows; }

}  // namespace lockstep::cuda
