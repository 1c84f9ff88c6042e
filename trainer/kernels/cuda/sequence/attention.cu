// Attention by tiles with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): a block has a tile of
// queries and goes through the keys; what it has is scaled down whenever a greater score turns up. Not-a-number stays.
#include "trainer/kernels/cuda/sequence/attention.h"

#include <limits>

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kTeam = kAttentionThreads / kTile;  ///< threads per query of a tile: each has every kTeam-th score

template <typename T, int kPieces>
struct Attend {
  static constexpr int kThreads = kAttentionThreads;
  static constexpr int kResidentBlocks = 2;
  static constexpr int kDimensions = kPieces * kWidth;
  struct Shared {
    TileOperands operands;
    // By query of the tile.
    float largest[kTile], total[kTile], factor[kTile];
    float largest_of[kTile][kTeam], total_of[kTile][kTeam];  ///< of a tile of keys, by thread of a team
  };

  AttentionShape shape;
  const T *query, *memory;
  T* y;
  float* lse;  ///< absent: nullptr

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    const TileWork work(block.index(), shape.rows, shape.heads, tiles(), shape.causal, kDimensions);
    const int64_t kv_head = work.head * shape.kv_heads / shape.heads, visible = shape.Visible(work.row);
    const Vectors<const T> queries = shape.Query(query, work.row, work.head);
    const Vectors<const T> keys = shape.Key(memory, work.row, kv_head);
    const Vectors<const T> values = shape.ValueOf(memory, work.row, kv_head);
    PerThread<Parts, kThreads> parts;
    block.ForEachThread([&](int t) {
      LOCKSTEP_UNROLL
      for (int p = 0; p < kPieces; ++p) SetZero(parts[t].y[p]);
      if (t < kTile) shared.largest[t] = -kInfinity, shared.total[t] = 0;
    });
    const int64_t reach = shape.Before(visible) + work.first + kTile;
    const int64_t end = shape.causal && reach < visible ? reach : visible;
    for (int64_t key = 0; key < end; key += kTile) {
      Multiply(block, shape, shared.operands, VectorTile{queries, work.first, shape.queries},
               VectorTile{keys, key, visible}, [&](int t) -> TilePart& { return parts[t].scores; });
      Exponentials(block, shared, work, key, visible, parts);
      Accumulate<kPieces>(block, shape, shared.operands, VectorTile{values, key, visible}, work.dimension,
                          [&](int t) -> TilePart(&)[kPieces] { return parts[t].y; });
    }
    block.ForEachThread([&](int t) {
      StoreTile(shape, parts[t].y, t, VectorTile{shape.Result(y, work.row, work.head), work.first, shape.queries},
                work.dimension,
                [&](int row) { return shape.Seen(visible, work.first + row) == 0 ? 0.0f : 1.0f / shared.total[row]; });
      const int64_t position = work.first + t;
      if (lse == nullptr || work.dimension > 0 || t >= kTile || position >= shape.queries) return;
      const double sum = static_cast<double>(shared.largest[t]) + kernels::Log(static_cast<double>(shared.total[t]));
      lse[shape.Statistic(work.row, work.head) + position] =
          shape.Seen(visible, position) == 0 ? 0.0f : static_cast<float>(sum);
    });
  }

  LOCKSTEP_HD int64_t tiles() const { return (shape.queries + kTile - 1) / kTile; }

 private:
  struct Parts {
    TilePart scores;
    TilePart y[kPieces];
  };

  /// The greatest score of a query, those of this tile included.
  static LOCKSTEP_HD float Largest(const Shared& shared, int row) {
    float largest = shared.largest[row];
    LOCKSTEP_UNROLL
    for (int k = 0; k < kTeam; ++k) {
      largest = shared.largest_of[row][k] > largest ? shared.largest_of[row][k] : largest;
    }
    return largest;
  }
  /// The greatest of every kTeam-th score from `first` on, of the first `seen`.
  static LOCKSTEP_HD float LargestOfTeam(const float* scores, int first, int64_t seen) {
    float largest = -kInfinity;
    for (int column = first; column < kTile && column < seen; column += kTeam) {
      largest = scores[column] > largest ? scores[column] : largest;
    }
    return largest;
  }
  /// What is taken from scores before the exponential: finite.
  static LOCKSTEP_HD float Base(float largest) { return largest == -kInfinity ? 0.0f : largest; }

  /// Scores become exponentials in shared memory, 0 for keys that a query does not see; results so far and their total
  /// are scaled to the same base.
  template <typename Block>
  LOCKSTEP_HD void Exponentials(Block& block, Shared& shared, const TileWork& work, int64_t key, int64_t visible,
                                PerThread<Parts, kThreads>& parts) const {
    float* const scores = shared.operands.scores;
    block.ForEachThread([&](int t) {
      ForEachScore(t, [&](int row, int column, int i, int j) {
        scores[row * kPitch + column] = parts[t].scores[i][j] * shape.scale;
      });
    });
    block.ForEachThread([&](int t) {
      const int row = t / kTeam;
      const int64_t seen = shape.Seen(visible, work.first + row) - key;
      shared.largest_of[row][t % kTeam] = LargestOfTeam(scores + row * kPitch, t % kTeam, seen);
    });
    block.ForEachThread([&](int t) {
      const int row = t / kTeam;
      const int64_t seen = shape.Seen(visible, work.first + row) - key;
      const float base = Base(Largest(shared, row));
      float total = 0;
      LOCKSTEP_UNROLL
      for (int k = 0; k < kTile / kTeam; ++k) {
        const int column = t % kTeam + k * kTeam;
        float& score = scores[row * kPitch + column];
        score = column < seen ? kernels::Exp(score - base) : 0.0f;
        total += score;
      }
      shared.total_of[row][t % kTeam] = total;
    });
    block.ForEachThread([&](int t) {
      if (t >= kTile) return;
      const float largest = Largest(shared, t), factor = kernels::Exp(shared.largest[t] - Base(largest));
      float total = shared.total[t] * factor;
      LOCKSTEP_UNROLL
      for (int k = 0; k < kTeam; ++k) total += shared.total_of[t][k];
      shared.largest[t] = largest;
      shared.total[t] = total;
      shared.factor[t] = factor;
    });
    block.ForEachThread([&](int t) {
      LOCKSTEP_UNROLL
      for (int p = 0; p < kPieces; ++p) {
        ForEachScore(t, [&](int row, int, int i, int j) { parts[t].y[p][i][j] *= shared.factor[row]; });
      }
    });
  }
};

using Direction = AttentionSpec::Direction;

size_t Workspace(const OpContext& context) {
  const LibraryAttention attention(context, Direction::kForward, 0);
  return attention.library == nullptr ? 0 : attention.library->WorkspaceBytes(attention.spec);
}

std::unique_ptr<Kernel> PrepareAttention(const KernelContext& context) {
  if (const LibraryAttention attention(context, Direction::kForward, 0); attention.library != nullptr) {
    return attention.library->Prepare(attention.spec,
                                      {.query = context.Input<void>(0),
                                       .y = context.Output<void>(0),
                                       .lse = context.Output(1),
                                       .workspace = context.operands.workspace},
                                      context.stream);
  }
  AttentionShape shape(context, 0);
  shape.length = context.Input<int32_t>(2);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPieces(shape.head_size, [&]<int kPieces>(std::integral_constant<int, kPieces>) {
      const Attend<T, kPieces> kernel{
          .shape = shape,
          .query = context.Input<T>(0),
          .memory = context.Input<T>(shape.has_memory ? 1 : 0),
          .y = context.Output<T>(0),
          .lse = context.Output(1),
      };
      const int64_t blocks = TileBlocks(shape, shape.heads, shape.queries, kernel.kDimensions);
      return MakeKernel([=, stream = &context.stream] { Launch(*stream, blocks, kernel); });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kAttention, .prepare = PrepareAttention, .workspace_bytes = Workspace},
};

}  // namespace

std::span<const KernelRow> AttentionRows() { return kRows; }

}  // namespace lockstep::cuda
