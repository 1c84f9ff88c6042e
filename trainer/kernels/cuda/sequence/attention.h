// What attention and its gradient share: what the operands say, and products of tiles.
//
// A block works on tiles of 64 queries by 64 keys of one head, in float, never on more: scores exist by the tile. Its
// 256 threads lie 16 by 16 over a tile: thread t has rows t / 16 + 16 i of it and, of scores, columns t % 16 + 16 j, i
// and j below 4. Operands come to shared memory in pieces, zeros behind their ends: 32 dimensions at once where vectors
// are multiplied with vectors, 64 where scores are multiplied with them. Any head size will do: pieces of results of
// more than 128 dimensions are blocks of their own. All sums run in the order of their index.
//
// Where the library has attention for an op (LibraryAttention), it has the op and its gradient; these kernels have the
// rest, and everything on an emulated device.
#pragma once

#include <cmath>
#include <cstdint>

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/math.h"

namespace lockstep::cuda {

inline constexpr int kAttentionThreads = 256;
inline constexpr int kTile = 64;
inline constexpr int kSide = 16, kEach = kTile / kSide;  ///< threads side by side; rows and columns of each
inline constexpr int kDepth = 32, kWidth = 64;           ///< dimensions at once
/// Between rows in shared memory: threads side by side, each reading 16 bytes of another row, meet in no bank.
inline constexpr int kDepthPitch = kDepth + 4, kPitch = kTile + 4;

/// A thread's part of a tile.
using TilePart = float[kEach][kEach];

/// One head's vectors by position.
template <typename T>
struct Vectors {
  T* data;
  int64_t stride;

  LOCKSTEP_HD T* at(int64_t position) const { return data + position * stride; }
};

struct AttentionShape {
  int64_t rows, queries, keys, heads, kv_heads, head_size;
  bool causal, has_memory;
  bool packed;  ///< heads lie at multiples of 16 bytes
  float scale;  ///< of scores
  const int32_t* length = nullptr;

  /// `input`: which of the op's inputs is query; memory and length follow it.
  AttentionShape(const OpContext& context, size_t input)
      : rows(context.InputShape(input).dim(0)),
        queries(context.InputShape(input).dim(1)),
        keys(context.InputShape(context.HasInput(input + 1) ? input + 1 : input).dim(1)),
        heads(context.Attributes<graph::AttentionAttributes>().heads),
        kv_heads(context.Attributes<graph::AttentionAttributes>().kv_heads),
        head_size(context.InputShape(input).dim(2) / (context.HasInput(input + 1) ? heads : heads + 2 * kv_heads)),
        causal(context.Attributes<graph::AttentionAttributes>().causal),
        has_memory(context.HasInput(input + 1)),
        packed(head_size * SizeOf(context.InputType(input)) % 16 == 0),
        scale(static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_size)))) {}

  LOCKSTEP_HD int64_t query_channels() const { return (has_memory ? heads : heads + 2 * kv_heads) * head_size; }
  LOCKSTEP_HD int64_t memory_channels() const { return has_memory ? 2 * kv_heads * head_size : query_channels(); }

  template <typename T>
  LOCKSTEP_HD Vectors<T> Query(T* query, int64_t row, int64_t head) const {
    return {query + row * queries * query_channels() + head * head_size, query_channels()};
  }
  /// `memory`: the query where there is none.
  template <typename T>
  LOCKSTEP_HD Vectors<T> Key(T* memory, int64_t row, int64_t kv_head) const {
    const int64_t first = has_memory ? 0 : heads;
    return {memory + row * keys * memory_channels() + (first + kv_head) * head_size, memory_channels()};
  }
  template <typename T>
  LOCKSTEP_HD Vectors<T> ValueOf(T* memory, int64_t row, int64_t kv_head) const {
    return Key(memory, row, kv_head + kv_heads);
  }
  template <typename T>
  LOCKSTEP_HD Vectors<T> Result(T* y, int64_t row, int64_t head) const {
    return {y + row * queries * heads * head_size + head * head_size, heads * head_size};
  }
  /// Where the number of the first query lies, of those that heads have by query.
  LOCKSTEP_HD int64_t Statistic(int64_t row, int64_t head) const { return (row * heads + head) * queries; }

  /// Keys of a row that any query sees: the first ones.
  LOCKSTEP_HD int64_t Visible(int64_t row) const {
    if (length == nullptr) return keys;
    const int64_t n = length[row];
    return n < 0 ? 0 : n < keys ? n : keys;
  }
  /// Of `visible` keys, those that a query sees.
  LOCKSTEP_HD int64_t Seen(int64_t visible, int64_t query) const {
    if (query >= queries) return 0;
    const int64_t own = Before(visible) + query + 1;
    return causal && own < visible ? own : visible;
  }
  /// Keys in front of the first query's own: with memory, the queries' own are the last of those that are visible.
  LOCKSTEP_HD int64_t Before(int64_t visible) const { return has_memory && visible > queries ? visible - queries : 0; }
};

/// What the library is asked for in an op's place.
struct LibraryAttention {
  AttentionLibrary* library = nullptr;  ///< nullptr: the op is ours
  AttentionSpec spec;

  /// `input`: which of the op's inputs is query. Shapes, types and what operands there are decide, and decide alike for
  /// an op and its gradient.
  LibraryAttention(const OpContext& context, AttentionSpec::Direction direction, size_t input) {
    const AttentionShape shape(context, input);
    if (shape.has_memory || context.HasInput(input + 2) || shape.heads != shape.kv_heads) return;
    if (context.InputType(input) != DType::kBF16) return;
    spec = {.direction = direction,
            .rows = shape.rows,
            .positions = shape.queries,
            .heads = shape.heads,
            .head_size = shape.head_size,
            .causal = shape.causal,
            .type = DType::kBF16};
    AttentionLibrary* const offered = context.library.attention();
    if (offered != nullptr && offered->Supports(spec)) library = offered;
  }
};

/// What a block does: a tile of positions of one head, and of the result's dimensions those from `dimension` on.
struct TileWork {
  int64_t row, head, first, dimension;

  /// `tiles` of positions (the last ones first where `descending`: with `causal`, those have most to do), then
  /// dimensions.
  LOCKSTEP_HD TileWork(int64_t block, int64_t rows, int64_t heads, int64_t tiles, bool descending, int width) {
    const Quotient a = Divide(block, heads), b = Divide(a.quotient, rows), c = Divide(b.quotient, tiles);
    head = a.remainder;
    row = b.remainder;
    first = (descending ? tiles - 1 - c.remainder : c.remainder) * kTile;
    dimension = c.quotient * width;
  }
};
inline int64_t TileBlocks(const AttentionShape& shape, int64_t heads, int64_t positions, int width) {
  return shape.rows * heads * BlocksFor(positions, kTile, 1) * BlocksFor(shape.head_size, width, 1);
}

/// Calls run(std::integral_constant<int, n>{}): results are kept as n pieces of kWidth dimensions.
template <typename F>
auto WithPieces(int64_t head_size, F&& run) {
  if (head_size <= kWidth) return run(std::integral_constant<int, 1>{});
  return run(std::integral_constant<int, 2>{});
}

/// Part of what a block of tiles shares.
struct TileOperands {
  alignas(16) float vectors[2][kTile * kDepthPitch];
  alignas(16) float scores[kTile * kPitch];

  /// kTile vectors of kWidth dimensions lie over both.
  LOCKSTEP_HD float* wide() { return vectors[0]; }
};
static_assert(kTile * kPitch <= 2 * kTile * kDepthPitch);

template <int kColumns, int kPack, typename T>
LOCKSTEP_HD void CopyPack(const Vectors<const T>& from, int64_t first, int64_t end, int64_t dimension, int64_t size,
                          int pack, float* to) {
  constexpr int kPacks = kColumns / kPack, kStore = kPack < 4 ? kPack : 4;
  const int row = pack / kPacks, column = pack % kPacks * kPack;
  float v[kPack] = {};
  if (first + row < end && dimension + column < size) {
    LoadPack<kPack>(from.at(first + row) + dimension + column, v);
  }
  float* const target = to + row * (kColumns + 4) + column;
  LOCKSTEP_UNROLL
  for (int i = 0; i < kPack; i += kStore) StorePack<kStore>(v + i, target + i);
}

/// A thread's share of bringing vectors [first, first + kTile) to `to`, kColumns dimensions of each: zeros for
/// positions from `end` on and dimensions from the head's size on.
template <int kColumns, typename T>
LOCKSTEP_HD void LoadTile(const AttentionShape& shape, const Vectors<const T>& from, int64_t first, int64_t end,
                          int64_t dimension, int thread, float* to) {
  if (shape.packed) {
    constexpr int kPack = 16 / sizeof(T), kPacks = kTile * kColumns / kPack;
    static_assert(kPacks % kAttentionThreads == 0);
    LOCKSTEP_UNROLL
    for (int pack = 0; pack < kPacks; pack += kAttentionThreads) {
      CopyPack<kColumns, kPack>(from, first, end, dimension, shape.head_size, pack + thread, to);
    }
    return;
  }
  LOCKSTEP_ROLLED
  for (int i = thread; i < kTile * kColumns; i += kAttentionThreads) {
    CopyPack<kColumns, 1>(from, first, end, dimension, shape.head_size, i, to);
  }
}

/// sums += a b^T, of kDepth dimensions.
LOCKSTEP_HD void AddProducts(const float* a, const float* b, int thread, TilePart& sums) {
  const float *row = a + thread / kSide * kDepthPitch, *column = b + thread % kSide * kDepthPitch;
  LOCKSTEP_ROLLED
  for (int k = 0; k < kDepth; k += 4) {
    float rows[kEach][4], columns[kEach][4];
    LOCKSTEP_UNROLL
    for (int i = 0; i < kEach; ++i) {
      LoadPack<4>(row + i * kSide * kDepthPitch + k, rows[i]);
      LoadPack<4>(column + i * kSide * kDepthPitch + k, columns[i]);
    }
    LOCKSTEP_UNROLL
    for (int n = 0; n < 4; ++n) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kEach; ++i) {
        LOCKSTEP_UNROLL
        for (int j = 0; j < kEach; ++j) sums[i][j] += rows[i][n] * columns[j][n];
      }
    }
  }
}

/// sums += scores vectors: of a thread's rows, and of dimensions 4 (t % 16) + j.
LOCKSTEP_HD void AddWeighted(const float* scores, const float* vectors, int thread, TilePart& sums) {
  static_assert(kWidth == kSide * kEach && kEach == 4);
  const float *row = scores + thread / kSide * kPitch, *column = vectors + thread % kSide * kEach;
  LOCKSTEP_ROLLED
  for (int k = 0; k < kTile; k += 4) {
    float weights[kEach][4], values[4][kEach];
    LOCKSTEP_UNROLL
    for (int i = 0; i < kEach; ++i) LoadPack<4>(row + i * kSide * kPitch + k, weights[i]);
    LOCKSTEP_UNROLL
    for (int n = 0; n < 4; ++n) LoadPack<kEach>(column + (k + n) * kPitch, values[n]);
    LOCKSTEP_UNROLL
    for (int n = 0; n < 4; ++n) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kEach; ++i) {
        LOCKSTEP_UNROLL
        for (int j = 0; j < kEach; ++j) sums[i][j] += weights[i][n] * values[n][j];
      }
    }
  }
}

/// Writes a thread's 4 dimensions of a position.
template <typename T>
LOCKSTEP_HD void StoreDimensions(const AttentionShape& shape, const float* values, int64_t dimension, T* position) {
  if (shape.packed && dimension < shape.head_size) return StorePack<kEach>(values, position + dimension);
  LOCKSTEP_UNROLL
  for (int j = 0; j < kEach; ++j) {
    if (dimension + j < shape.head_size) position[dimension + j] = FromFloat<T>(values[j]);
  }
}

LOCKSTEP_HD void SetZero(TilePart& part) {
  LOCKSTEP_UNROLL
  for (int i = 0; i < kEach; ++i) {
    LOCKSTEP_UNROLL
    for (int j = 0; j < kEach; ++j) part[i][j] = 0;
  }
}

/// Vectors of a tile's positions: those from `first` on, below `end`.
template <typename T>
struct VectorTile {
  Vectors<T> vectors;
  int64_t first, end;
};
template <typename T>
VectorTile(Vectors<T>, int64_t, int64_t) -> VectorTile<T>;

/// part(thread) = a b^T over all dimensions of the head.
template <typename Block, typename T, typename Part>
LOCKSTEP_HD void Multiply(Block& block, const AttentionShape& shape, TileOperands& shared, const VectorTile<const T>& a,
                          const VectorTile<const T>& b, Part&& part) {
  for (int64_t dimension = 0; dimension < shape.head_size; dimension += kDepth) {
    block.ForEachThread([&](int t) {
      LoadTile<kDepth>(shape, a.vectors, a.first, a.end, dimension, t, shared.vectors[0]);
      LoadTile<kDepth>(shape, b.vectors, b.first, b.end, dimension, t, shared.vectors[1]);
    });
    block.ForEachThread([&](int t) {
      if (dimension == 0) SetZero(part(t));
      AddProducts(shared.vectors[0], shared.vectors[1], t, part(t));
    });
  }
}

/// parts(thread)[p] += scores times the tile's dimensions [dimension + p kWidth, + kWidth), for kPieces pieces.
template <int kPieces, typename Block, typename T, typename Parts>
LOCKSTEP_HD void Accumulate(Block& block, const AttentionShape& shape, TileOperands& shared,
                            const VectorTile<const T>& tile, int64_t dimension, Parts&& parts) {
  LOCKSTEP_UNROLL
  for (int p = 0; p < kPieces; ++p) {
    if (dimension + p * kWidth >= shape.head_size) continue;
    block.ForEachThread([&](int t) {
      LoadTile<kWidth>(shape, tile.vectors, tile.first, tile.end, dimension + p * kWidth, t, shared.wide());
    });
    block.ForEachThread([&](int t) { AddWeighted(shared.scores, shared.wide(), t, parts(t)[p]); });
  }
}

/// Calls visit(row of the tile, column, i, j) for a thread's part of a tile of scores.
template <typename Visit>
LOCKSTEP_HD void ForEachScore(int thread, Visit&& visit) {
  LOCKSTEP_UNROLL
  for (int i = 0; i < kEach; ++i) {
    LOCKSTEP_UNROLL
    for (int j = 0; j < kEach; ++j) visit(thread / kSide + kSide * i, thread % kSide + kSide * j, i, j);
  }
}

/// Writes parts[p] times `factor` of a tile's positions: dimensions from `dimension` on.
template <int kPieces, typename T, typename Factor>
LOCKSTEP_HD void StoreTile(const AttentionShape& shape, TilePart (&parts)[kPieces], int thread,
                           const VectorTile<T>& tile, int64_t dimension, Factor&& factor) {
  LOCKSTEP_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const int row = thread / kSide + kSide * i;
    if (tile.first + row >= tile.end) continue;
    LOCKSTEP_UNROLL
    for (int p = 0; p < kPieces; ++p) {
      LOCKSTEP_UNROLL
      for (int j = 0; j < kEach; ++j) parts[p][i][j] *= factor(row);
      StoreDimensions(shape, parts[p][i], dimension + p * kWidth + thread % kSide * kEach,
                      tile.vectors.at(tile.first + row));
    }
  }
}

}  // namespace lockstep::cuda
