// The gradient of attention: what softmax made of the scores is made again from the log of their sums, tile by tile.
// One kernel has the queries' gradient (a block goes through the keys of a tile of queries), one that of keys and
// values (a block goes through the queries of a tile of keys, head after head of those that read it): no sum is shared.
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/sequence/attention.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

/// dots[row, head, query] = dy y: what is taken from the gradients of a query's scores.
template <typename T, int kPack>
struct DotRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float sums[kThreads];
  };

  const T *dy, *y;
  float* dots;
  RowPlan plan;  ///< rows [row, query, head]
  int64_t queries, heads;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      float sum = 0;
      if (row < plan.rows) {
        plan.ForEachPack<kPack>(t, [&](int64_t at) {
          float a[kPack], b[kPack];
          LoadPack<kPack>(dy + row * plan.size + at, a);
          LoadPack<kPack>(y + row * plan.size + at, b);
          LOCKSTEP_UNROLL
          for (int i = 0; i < kPack; ++i) sum += a[i] * b[i];
        });
      }
      shared.sums[t] = sum;
    });
    SumTeams(block, plan, shared.sums);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      const Quotient position = Divide(row, heads), batch = Divide(position.quotient, queries);
      dots[(batch.quotient * heads + position.remainder) * queries + batch.remainder] = shared.sums[t];
    });
  }
};

/// What both kernels read.
template <typename T>
struct GradOperands {
  AttentionShape shape;
  const T *dy, *query, *memory;
  const float *lse, *dots;
};

struct GradShared {
  TileOperands operands;
  float lse[kTile], dots[kTile];  ///< by query of the tile

  /// A thread's share.
  template <typename T>
  LOCKSTEP_HD void LoadStatistics(const GradOperands<T>& o, int64_t row, int64_t head, int64_t first, int thread) {
    if (thread >= kTile || first + thread >= o.shape.queries) return;
    lse[thread] = o.lse[o.shape.Statistic(row, head) + first + thread];
    dots[thread] = o.dots[o.shape.Statistic(row, head) + first + thread];
  }
  /// A key's share in what a query got. Whatever lies where a query sees nothing, 0.
  LOCKSTEP_HD float Exponential(float score, int query, bool seen) const {
    return seen ? kernels::Exp(score - lse[query]) : 0.0f;
  }
  /// Of the score of a key with that share, from the gradient of the share.
  LOCKSTEP_HD float Gradient(float share, float slope, int query, bool seen) const {
    return seen ? share * (slope - dots[query]) : 0.0f;
  }
};

template <typename T, int kPieces>
struct QueryGrad {
  static constexpr int kThreads = kAttentionThreads;
  static constexpr int kResidentBlocks = kPieces == 1 || sizeof(T) == 2 ? 2 : 1;
  static constexpr int kDimensions = kPieces * kWidth;
  using Shared = GradShared;

  GradOperands<T> o;
  T* dquery;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    const AttentionShape& shape = o.shape;
    Shared& shared = block.template SharedAs<Shared>();
    const int64_t tiles = (shape.queries + kTile - 1) / kTile;
    const TileWork work(block.index(), shape.rows, shape.heads, tiles, shape.causal, kDimensions);
    const int64_t kv_head = work.head * shape.kv_heads / shape.heads, visible = shape.Visible(work.row);
    const Vectors<const T> queries = shape.Query(o.query, work.row, work.head);
    const Vectors<const T> dresults = shape.Result(o.dy, work.row, work.head);
    const Vectors<const T> keys = shape.Key(o.memory, work.row, kv_head);
    const Vectors<const T> values = shape.ValueOf(o.memory, work.row, kv_head);
    float* const scores = shared.operands.scores;
    PerThread<Parts, kThreads> parts;
    block.ForEachThread([&](int t) {
      LOCKSTEP_UNROLL
      for (int p = 0; p < kPieces; ++p) SetZero(parts[t].dquery[p]);
      shared.LoadStatistics(o, work.row, work.head, work.first, t);
    });
    const int64_t end = shape.causal && work.first + kTile < visible ? work.first + kTile : visible;
    for (int64_t key = 0; key < end; key += kTile) {
      Multiply(block, shape, shared.operands, VectorTile{queries, work.first, shape.queries},
               VectorTile{keys, key, visible}, [&](int t) -> TilePart& { return parts[t].products; });
      block.ForEachThread([&](int t) {
        ForEachScore(t, [&](int row, int column, int i, int j) {
          const bool seen = key + column < shape.Seen(visible, work.first + row);
          scores[row * kPitch + column] = shared.Exponential(parts[t].products[i][j] * shape.scale, row, seen);
        });
      });
      Multiply(block, shape, shared.operands, VectorTile{dresults, work.first, shape.queries},
               VectorTile{values, key, visible}, [&](int t) -> TilePart& { return parts[t].products; });
      block.ForEachThread([&](int t) {
        ForEachScore(t, [&](int row, int column, int i, int j) {
          const bool seen = key + column < shape.Seen(visible, work.first + row);
          float& score = scores[row * kPitch + column];
          score = shared.Gradient(score, parts[t].products[i][j], row, seen);
        });
      });
      Accumulate<kPieces>(block, shape, shared.operands, VectorTile{keys, key, visible}, work.dimension,
                          [&](int t) -> TilePart(&)[kPieces] { return parts[t].dquery; });
    }
    block.ForEachThread([&](int t) {
      StoreTile(shape, parts[t].dquery, t,
                VectorTile{shape.Query(dquery, work.row, work.head), work.first, shape.queries}, work.dimension,
                [&](int) { return shape.scale; });
    });
  }

 private:
  struct Parts {
    TilePart products;
    TilePart dquery[kPieces];
  };
};

/// Rows of tiles are keys here, columns queries.
template <typename T, int kPieces>
struct MemoryGrad {
  static constexpr int kThreads = kAttentionThreads;
  static constexpr int kResidentBlocks = kPieces == 1 && sizeof(T) == 2 ? 2 : 1;
  static constexpr int kDimensions = kPieces * kWidth;
  using Shared = GradShared;

  GradOperands<T> o;
  T* dmemory;  ///< dquery where there is none

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    const AttentionShape& shape = o.shape;
    Shared& shared = block.template SharedAs<Shared>();
    const int64_t tiles = (shape.keys + kTile - 1) / kTile;
    const TileWork work(block.index(), shape.rows, shape.kv_heads, tiles, false, kDimensions);
    const int64_t visible = shape.Visible(work.row), group = shape.heads / shape.kv_heads;
    PerThread<Parts, kThreads> parts;
    block.ForEachThread([&](int t) {
      LOCKSTEP_UNROLL
      for (int p = 0; p < kPieces; ++p) {
        SetZero(parts[t].dkeys[p]);
        SetZero(parts[t].dvalues[p]);
      }
    });
    // With `causal`, earlier tiles of queries see none of these keys.
    const int64_t begin = shape.causal ? work.first : 0, end = work.first < visible ? shape.queries : 0;
    for (int64_t head = work.head * group; head < (work.head + 1) * group; ++head) {
      for (int64_t query = begin; query < end; query += kTile) AddQueries(block, shared, work, head, query, parts);
    }
    block.ForEachThread([&](int t) {
      StoreTile(shape, parts[t].dkeys, t, VectorTile{shape.Key(dmemory, work.row, work.head), work.first, shape.keys},
                work.dimension, [&](int) { return shape.scale; });
      StoreTile(shape, parts[t].dvalues, t,
                VectorTile{shape.ValueOf(dmemory, work.row, work.head), work.first, shape.keys}, work.dimension,
                [](int) { return 1.0f; });
    });
  }

 private:
  struct Parts {
    TilePart products;
    TilePart dkeys[kPieces], dvalues[kPieces];
  };

  template <typename Block>
  LOCKSTEP_HD void AddQueries(Block& block, Shared& shared, const TileWork& work, int64_t head, int64_t query,
                              PerThread<Parts, kThreads>& parts) const {
    const AttentionShape& shape = o.shape;
    const int64_t visible = shape.Visible(work.row);
    const Vectors<const T> queries = shape.Query(o.query, work.row, head);
    const Vectors<const T> dresults = shape.Result(o.dy, work.row, head);
    const Vectors<const T> keys = shape.Key(o.memory, work.row, work.head);
    const Vectors<const T> values = shape.ValueOf(o.memory, work.row, work.head);
    float* const scores = shared.operands.scores;
    Multiply(block, shape, shared.operands, VectorTile{keys, work.first, visible},
             VectorTile{queries, query, shape.queries}, [&](int t) -> TilePart& { return parts[t].products; });
    block.ForEachThread([&](int t) { shared.LoadStatistics(o, work.row, head, query, t); });
    block.ForEachThread([&](int t) {
      ForEachScore(t, [&](int row, int column, int i, int j) {
        const bool seen = work.first + row < shape.Seen(visible, query + column);
        scores[row * kPitch + column] = shared.Exponential(parts[t].products[i][j] * shape.scale, column, seen);
      });
    });
    Accumulate<kPieces>(block, shape, shared.operands, VectorTile{dresults, query, shape.queries}, work.dimension,
                        [&](int t) -> TilePart(&)[kPieces] { return parts[t].dvalues; });
    Multiply(block, shape, shared.operands, VectorTile{values, work.first, visible},
             VectorTile{dresults, query, shape.queries}, [&](int t) -> TilePart& { return parts[t].products; });
    block.ForEachThread([&](int t) {
      ForEachScore(t, [&](int row, int column, int i, int j) {
        const bool seen = work.first + row < shape.Seen(visible, query + column);
        float& score = scores[row * kPitch + column];
        score = shared.Gradient(score, parts[t].products[i][j], column, seen);
      });
    });
    Accumulate<kPieces>(block, shape, shared.operands, VectorTile{queries, query, shape.queries}, work.dimension,
                        [&](int t) -> TilePart(&)[kPieces] { return parts[t].dkeys; });
  }
};

using Direction = AttentionSpec::Direction;

size_t Workspace(const OpContext& context) {
  if (const LibraryAttention attention(context, Direction::kGradient, 1); attention.library != nullptr)
    return attention.library->WorkspaceBytes(attention.spec);
  const AttentionShape shape(context, 1);
  return static_cast<size_t>(shape.rows * shape.heads * shape.queries) * sizeof(float);
}

/// Operands that the gradient only reads lose their const for the other direction's sake.
template <typename T>
T* Read(const T* operand) {
  return const_cast<T*>(operand);
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  if (const LibraryAttention attention(context, Direction::kGradient, 1); attention.library != nullptr) {
    return attention.library->Prepare(attention.spec,
                                      {.query = context.Input<void>(1),
                                       .y = Read(context.Input<void>(4)),
                                       .lse = Read(context.Input(5)),
                                       .dy = context.Input<void>(0),
                                       .dquery = context.Output<void>(0),
                                       .workspace = context.operands.workspace},
                                      context.stream);
  }
  AttentionShape shape(context, 1);
  shape.length = context.Input<int32_t>(3);
  return WithElementType(context.InputType(1), [&]<typename T>(T) {
    return WithPieces(shape.head_size, [&]<int kPieces>(std::integral_constant<int, kPieces>) {
      auto* dots = reinterpret_cast<float*>(context.operands.workspace);
      const GradOperands<T> operands{.shape = shape,
                                     .dy = context.Input<T>(0),
                                     .query = context.Input<T>(1),
                                     .memory = context.Input<T>(shape.has_memory ? 2 : 1),
                                     .lse = context.Input(5),
                                     .dots = dots};
      const QueryGrad<T, kPieces> query{operands, context.Output<T>(0)};
      const MemoryGrad<T, kPieces> memory{operands, context.Output<T>(shape.has_memory ? 1 : 0)};
      const int64_t query_blocks = TileBlocks(shape, shape.heads, shape.queries, query.kDimensions);
      const int64_t memory_blocks = TileBlocks(shape, shape.kv_heads, shape.keys, memory.kDimensions);
      return WithPack<T>({shape.head_size}, [&]<int kPack>(std::integral_constant<int, kPack>) {
        const DotRows<T, kPack> rows{.dy = operands.dy,
                                     .y = context.Input<T>(4),
                                     .dots = dots,
                                     .plan = PlanRows(shape.rows * shape.queries * shape.heads, shape.head_size, kPack),
                                     .queries = shape.queries,
                                     .heads = shape.heads};
        return MakeKernel([=, stream = &context.stream] {
          Launch(*stream, rows.plan.blocks(), rows);
          if (query.dquery != nullptr) Launch(*stream, query_blocks, query);
          if (memory.dmemory != nullptr) Launch(*stream, memory_blocks, memory);
        });
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kAttentionGrad, .prepare = PrepareGrad, .workspace_bytes = Workspace},
};

}  // namespace

std::span<const KernelRow> AttentionGradRows() { return kRows; }

}  // namespace lockstep::cuda
