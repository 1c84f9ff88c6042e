// The gradient of attention: weights are computed again from lse, tile by tile. The gradients of keys and values are
// summed over queries in order, and over the heads that read them in order.
#pragma once

#include "trainer/kernels/onednn/sequence/attention_tiles.h"

namespace lockstep::onednn {
namespace {

/// A tile of queries of one head, and the head of keys that it reads: addresses in the workspace.
struct GradTile {
  int64_t first, count, size, padded;
  Mask mask;
  float *keys, *transposed_keys, *transposed_values, *dkeys, *dvalues;
  float *query, *dy, *weights, *dscores, *dquery, *lse, *shift;

  GradTile(const AttentionShape& s, const Mask& mask, float* workspace, int64_t first)
      : first(first),
        count(std::min(kTileQueries, s.queries - first)),
        size(s.head_size),
        padded(s.padded_size()),
        mask(mask) {
    const GradLayout at(s);
    keys = workspace + at.keys, transposed_keys = workspace + at.transposed_keys;
    transposed_values = workspace + at.transposed_values;
    dkeys = workspace + at.dkeys, dvalues = workspace + at.dvalues;
    query = workspace + at.query, dy = workspace + at.dy, weights = workspace + at.weights;
    dscores = workspace + at.dscores, dquery = workspace + at.dquery, lse = workspace + at.lse;
    shift = workspace + at.shift;
  }
};

/// The softmax of a block of rows, from row `r` on, over `seen` keys from `key` on, and the gradients of its scores and
/// of its queries.
template <typename P>
LOCKSTEP_HD void QueryBlock(const GradTile& t, int64_t r, int64_t key, int64_t seen) {
  const int64_t columns = RoundUp(seen, kPanel), size = t.size, padded = t.padded;
  float *weights = t.weights + r * kScoreRow, *dscores = t.dscores + r * kScoreRow, *dquery = t.dquery + r * padded;
  const float *lse = t.lse + r, *shift = t.shift + r;
  const auto transposed = [&](const float* panels) LOCKSTEP_INLINE {
    return Right{panels + key * size, kPanel, size * kPanel};
  };
  ProductRows<P>(Left{t.query + r * padded, padded, 1}, transposed(t.transposed_keys), columns, 0, size,
                 [&](int i, int64_t j, auto v)
                     LOCKSTEP_INLINE { Store(weights + i * kScoreRow + j, Exp2<P>(v - lse[i])); });
  for (int i = 0; i < P::kRows; ++i) {
    const int64_t row_seen = std::clamp<int64_t>(t.mask.Seen(t.first + r + i) - key, 0, seen);
    for (int64_t j = row_seen; j < columns; ++j) weights[i * kScoreRow + j] = 0.0f;
  }
  ProductRows<P>(Left{t.dy + r * padded, padded, 1}, transposed(t.transposed_values), columns, 0, size,
                 [&](int i, int64_t j, auto v) LOCKSTEP_INLINE {
                   const auto weight = Load<decltype(v)>(weights + i * kScoreRow + j);
                   Store(dscores + i * kScoreRow + j, weight * (v - shift[i]));
                 });
  ProductRows<P>(Left{dscores, kScoreRow, 1}, Right{t.keys + key * padded, padded, kPanel}, padded, 0, seen,
                 [&](int i, int64_t j, auto v) LOCKSTEP_INLINE {
                   float* at = dquery + i * padded + j;
                   Store(at, key == 0 ? v : Load<decltype(v)>(at) + v);
                 });
}

/// Adds what the tile's queries say of a block of keys, from `key` + m on, to the gradients of keys and values.
template <typename P>
LOCKSTEP_HD void KeyBlock(const GradTile& t, int64_t key, int64_t m) {
  const int64_t padded = t.padded, begin = t.mask.causal ? std::max<int64_t>(0, key + m - t.first) : 0;
  const auto add = [&](float* to) LOCKSTEP_INLINE {
    return [=](int i, int64_t j, auto v) LOCKSTEP_INLINE {
      float* at = to + i * padded + j;
      Store(at, Load<decltype(v)>(at) + v);
    };
  };
  ProductRows<P>(Left{t.weights + m, 1, kScoreRow}, Right{t.dy, padded, kPanel}, padded, begin, t.count,
                 add(t.dvalues + (key + m) * padded));
  ProductRows<P>(Left{t.dscores + m, 1, kScoreRow}, Right{t.query, padded, kPanel}, padded, begin, t.count,
                 add(t.dkeys + (key + m) * padded));
}

template <typename P>
LOCKSTEP_HD void GradientTile(const GradTile& t) {
  const int64_t visible = t.mask.Seen(t.first + t.count - 1);
  for (int64_t key = 0; key < visible; key += kTileKeys) {
    for (int64_t r = 0; r < t.count; r += P::kRows) {
      const int64_t last = t.first + std::min<int64_t>(r + P::kRows, t.count) - 1;
      const int64_t seen = std::min(t.mask.Seen(last) - key, kTileKeys);
      if (seen > 0) QueryBlock<P>(t, r, key, seen);
    }
    for (int64_t m = 0; m < std::min(visible - key, kTileKeys); m += P::kRows) KeyBlock<P>(t, key, m);
  }
}

/// Stores what has been summed in [positions, padded size] times `factor`; positions from `visible` on have no
/// gradient.
LOCKSTEP_HD void StoreVectors(const float* from, int64_t padded, const Vectors<float>& to, int64_t visible,
                              int64_t positions, int64_t size, float factor) {
  for (int64_t p = 0; p < visible; ++p, from += padded) {
    float* vector = to.at(p);
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) vector[i] = from[i] * factor;
  }
  for (int64_t p = visible; p < positions; ++p) std::fill_n(to.at(p), size, 0.0f);
}

template <typename P>
LOCKSTEP_HD void PrepareTile(const GradJob& job, const GradTile& t, int64_t row, int64_t head) {
  const AttentionShape& s = job.shape;
  const Vectors<const float> queries = s.Query(job.operands, row, head);
  const Vectors<const float> dy = s.Result(job.dy, row, head), y = s.Result(job.y, row, head);
  const float* lse = job.lse + (row * s.heads + head) * s.queries;
  const int64_t block = RoundUp(t.count, P::kRows);
  CopyPadded({queries.at(t.first), queries.row}, t.count, t.size, s.query_factor(), t.query, block, t.padded);
  CopyPadded({dy.at(t.first), dy.row}, t.count, t.size, 1.0f, t.dy, block, t.padded);
  for (int64_t r = 0; r < t.count; ++r) {
    const float *a = dy.at(t.first + r), *b = y.at(t.first + r);
    t.lse[r] = lse[t.first + r] * 1.44269504f;
    t.shift[r] = SumRow(
        t.size, [&](int64_t i, auto v) LOCKSTEP_INLINE { return Load<decltype(v)>(a + i) * Load<decltype(v)>(b + i); });
  }
  for (int64_t r = t.count; r < block; ++r) t.lse[r] = t.shift[r] = 0.0f;
}

template <typename P>
void AttendPairGrad(const GradJob& job, int64_t pair, float* workspace) {
  const AttentionShape& s = job.shape;
  const int64_t row = pair / s.kv_heads, kv_head = pair % s.kv_heads, size = s.head_size, padded = s.padded_size();
  const Mask mask{s.Visible(row), s.causal};
  const GradTile head_tile(s, mask, workspace, 0);
  const Vectors<const float> keys = s.Key(job.operands, row, kv_head), values = s.ValueOf(job.operands, row, kv_head);
  CopyPadded(keys, mask.visible, size, 1.0f, head_tile.keys, mask.visible, padded);
  CopyTransposed(keys, mask.visible, size, head_tile.transposed_keys);
  CopyTransposed(values, mask.visible, size, head_tile.transposed_values);
  std::fill_n(head_tile.dkeys, RoundUp(mask.visible, kPanel) * padded, 0.0f);
  std::fill_n(head_tile.dvalues, RoundUp(mask.visible, kPanel) * padded, 0.0f);
  for (int64_t head = kv_head * s.group(); head < (kv_head + 1) * s.group(); ++head) {
    const Vectors<float> dquery = s.Query(job.gradients, row, head);
    const float factor = 1.0f / __builtin_sqrtf(static_cast<float>(size));
    for (int64_t first = 0; first < s.queries; first += kTileQueries) {
      const GradTile tile(s, mask, workspace, first);
      PrepareTile<P>(job, tile, row, head);
      GradientTile<P>(tile);
      StoreVectors(tile.dquery, padded, {dquery.at(first), dquery.row}, mask.visible == 0 ? 0 : tile.count, tile.count,
                   size, factor);
    }
  }
  if (s.has_memory && job.gradients.memory == nullptr) return;
  StoreVectors(head_tile.dkeys, padded, s.Key(job.gradients, row, kv_head), mask.visible, s.keys, size, 0.693147181f);
  StoreVectors(head_tile.dvalues, padded, s.ValueOf(job.gradients, row, kv_head), mask.visible, s.keys, size, 1.0f);
}

}  // namespace
}  // namespace lockstep::onednn
