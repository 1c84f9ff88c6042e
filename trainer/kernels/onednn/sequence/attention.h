// What attention's kernels are told: what the operands say, and where tiles lie in a thread's workspace. The loops over
// tiles (attention_tiles.h, attention_grad_tiles.h) are compiled once per instruction set, in a file each.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#if defined(__x86_64__) && !defined(__clang__)
#define LOCKSTEP_FUSED_X86
#endif

#include "trainer/kernels/math.h"
#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {

/// Columns that products go by.
inline constexpr int64_t kPanel = 16;

/// Queries and keys of a tile of scores: two tiles of scores and what they are made from stay in the second-level
/// cache. Multiples of every register tile's rows, and of a panel.
inline constexpr int64_t kTileQueries = 64, kTileKeys = 128;
/// Between rows of a tile of scores: not a multiple of the first-level cache's sets, so columns can be read as well.
inline constexpr int64_t kScoreRow = kTileKeys + kPanel;

inline constexpr int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// One head's vectors by position: dimension i of position p at data[p * row + i].
template <typename T>
struct Vectors {
  T* data;
  int64_t row;

  T* at(int64_t position) const { return data + position * row; }
};

/// Addresses of the operands that have query's and memory's layout: themselves, or their gradients.
template <typename T>
struct Operands {
  T *query, *memory;
};

struct AttentionShape {
  int64_t rows, queries, keys, heads, kv_heads, head_size;
  bool causal, has_memory;
  const int32_t* length = nullptr;

  /// `input`: which of the op's inputs is query; memory and length follow it.
  AttentionShape(const OpContext& context, size_t input);

  int64_t pairs() const { return rows * kv_heads; }  ///< work items: a row's head of keys with the heads that read it
  int64_t group() const { return heads / kv_heads; }
  int64_t padded_size() const { return RoundUp(head_size, kPanel); }
  int64_t padded_keys() const { return RoundUp(keys, kPanel); }
  /// What is multiplied into queries, so that exponentials are powers of 2.
  float query_factor() const { return static_cast<float>(1.4426950408889634 / std::sqrt(double(head_size))); }

  int64_t query_channels() const { return (has_memory ? heads : heads + 2 * kv_heads) * head_size; }
  template <typename T>
  Vectors<T> Query(const Operands<T>& o, int64_t row, int64_t head) const {
    return {o.query + row * queries * query_channels() + head * head_size, query_channels()};
  }
  template <typename T>
  Vectors<T> Key(const Operands<T>& o, int64_t row, int64_t kv_head) const {
    if (!has_memory) return Query(o, row, heads + kv_head);
    const int64_t channels = 2 * kv_heads * head_size;
    return {o.memory + row * keys * channels + kv_head * head_size, channels};
  }
  template <typename T>
  Vectors<T> ValueOf(const Operands<T>& o, int64_t row, int64_t kv_head) const {
    return Key(o, row, kv_head + kv_heads);
  }
  template <typename T>
  Vectors<T> Result(T* y, int64_t row, int64_t head) const {
    return {y + row * queries * heads * head_size + head * head_size, heads * head_size};
  }

  /// Keys of a row that its queries may see.
  int64_t Visible(int64_t row) const { return length == nullptr ? keys : std::clamp<int64_t>(length[row], 0, keys); }
};

/// The first `visible` keys, and of those the ones up to a query's own position.
struct Mask {
  int64_t visible;
  bool causal;
  int64_t before = 0;  ///< keys in front of the first query's own

  int64_t Seen(int64_t query) const { return causal ? std::min(visible, before + query + 1) : visible; }
};

/// Where a thread's tiles lie in its workspace, in floats.
struct ForwardLayout {
  int64_t keys, values, query, scores, result, largest, sums, size;

  explicit ForwardLayout(const AttentionShape& s) {
    size = 0;
    const auto take = [&](int64_t count) {
      const int64_t at = size;
      size += RoundUp(count, kPanel);
      return at;
    };
    keys = take(s.padded_keys() * s.head_size);
    values = take(s.padded_keys() * s.padded_size());
    query = take(kTileQueries * s.padded_size());
    scores = take(kTileQueries * kScoreRow);
    result = take(kTileQueries * s.padded_size());
    largest = take(kTileQueries);
    sums = take(kTileQueries * kPanel);
  }
};

struct ForwardJob {
  AttentionShape shape;
  Operands<const float> operands;
  float *y, *lse;
};

/// The same for the gradient. Transposed ones are in panels.
struct GradLayout {
  int64_t keys, transposed_keys, transposed_values, dkeys, dvalues;  // a head's
  int64_t query, dy, weights, dscores, dquery, lse, shift;           // a tile's
  int64_t size;

  explicit GradLayout(const AttentionShape& s) {
    size = 0;
    const auto take = [&](int64_t count) {
      const int64_t at = size;
      size += RoundUp(count, kPanel);
      return at;
    };
    keys = take(s.padded_keys() * s.padded_size());
    transposed_keys = take(s.padded_keys() * s.head_size);
    transposed_values = take(s.padded_keys() * s.head_size);
    dkeys = take(s.padded_keys() * s.padded_size());
    dvalues = take(s.padded_keys() * s.padded_size());
    query = take(kTileQueries * s.padded_size());
    dy = take(kTileQueries * s.padded_size());
    weights = take(kTileQueries * kScoreRow);
    dscores = take(kTileQueries * kScoreRow);
    dquery = take(kTileQueries * s.padded_size());
    lse = take(kTileQueries);
    shift = take(kTileQueries);
  }
};

struct GradJob {
  AttentionShape shape;
  Operands<const float> operands;
  Operands<float> gradients;
  const float *dy, *y, *lse;
};

/// For one instruction set: the heads that read head `pair % kv_heads` of the keys of row `pair / kv_heads`.
struct AttentionKernels {
  void (*forward)(const ForwardJob& job, int64_t pair, float* workspace);
  void (*backward)(const GradJob& job, int64_t pair, float* workspace);
};
extern const AttentionKernels kAttentionGeneric;
#ifdef LOCKSTEP_FUSED_X86
extern const AttentionKernels kAttentionAvx2, kAttentionAvx512;
#endif

}  // namespace lockstep::onednn
