// Attention by tiles of queries and keys with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): no
// matrix of all queries by all keys. See fused_simd.h for how this is compiled.
#pragma once

#include "trainer/kernels/onednn/sequence/fused_simd.h"

namespace lockstep::onednn {
namespace {

constexpr float kLeast = -std::numeric_limits<float>::infinity();

/// [positions, size] -> [padded positions, padded size] times `factor`, with zeros around it.
LOCKSTEP_HD void CopyPadded(const Vectors<const float>& from, int64_t positions, int64_t size, float factor, float* to,
                            int64_t padded_positions, int64_t padded_size) {
  for (int64_t p = 0; p < positions; ++p, to += padded_size) {
    const float* vector = from.at(p);
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) to[i] = vector[i] * factor;
    for (int64_t i = size; i < padded_size; ++i) to[i] = 0.0f;
  }
  for (int64_t i = 0; i < (padded_positions - positions) * padded_size; ++i) to[i] = 0.0f;
}

/// [positions, size] -> panels of 16 positions [padded positions / 16, size, 16], with zeros behind the last position.
LOCKSTEP_HD void CopyTransposed(const Vectors<const float>& from, int64_t positions, int64_t size, float* to) {
  for (int64_t first = 0; first < positions; first += kPanel, to += size * kPanel) {
    const int64_t count = std::min(kPanel, positions - first);
    int64_t whole = 0;
    if (count == kPanel) {
      for (; whole + 8 <= size; whole += 8) {
        Transpose8(from.at(first) + whole, from.row, to + whole * kPanel, kPanel);
        Transpose8(from.at(first + 8) + whole, from.row, to + whole * kPanel + 8, kPanel);
      }
    }
    for (int64_t i = whole; i < size; ++i) {
      for (int64_t p = 0; p < count; ++p) to[i * kPanel + p] = from.at(first + p)[i];
      for (int64_t p = count; p < kPanel; ++p) to[i * kPanel + p] = 0.0f;
    }
  }
}

/// A tile of queries of one head, with its running maxima and sums of powers of 2.
struct QueryTile {
  int64_t first, count;
  Mask mask;
  float *scores, *result, *largest, *sums;
  int64_t padded_size;
};

/// Scores of row `r` against `columns` keys from `first_key` on become powers of 2 less the row's running maximum; what
/// was there before is scaled to it. The row sees `seen` of the keys.
template <typename P>
LOCKSTEP_HD void SoftmaxRow(const QueryTile& tile, int64_t r, int64_t columns, int64_t seen, bool first) {
  using V = typename P::V;
  float* row = tile.scores + r * kScoreRow;
  for (int64_t j = seen; j < columns; ++j) row[j] = kLeast;
  V most = Load<V>(row);
  for (int64_t j = kWidth<V>; j < columns; j += kWidth<V>) most = Larger(Load<V>(row + j), most);
  const float before = first ? kLeast : tile.largest[r];
  const float here = Largest(most);
  const float largest = here > before ? here : (before >= here ? before : here);  // not-a-number stays
  float* sums = tile.sums + r * kPanel;
  float* result = tile.result + r * tile.padded_size;
  V total[kPer<P>] = {};
  if (!first) {
    const float scale = Exp2<P>(Splat<V>(before - largest))[0];
    for (int j = 0; j < kPer<P>; ++j) total[j] = Load<V>(sums + j * kWidth<V>) * scale;
    if (before != largest) {
      for (int64_t i = 0; i < tile.padded_size; i += kWidth<V>) Store(result + i, Load<V>(result + i) * scale);
    }
  }
  for (int64_t j = 0; j < columns; j += kPanel) {
    for (int v = 0; v < kPer<P>; ++v) {
      const V power = Exp2<P>(Load<V>(row + j + v * kWidth<V>) - largest);
      Store(row + j + v * kWidth<V>, power);
      total[v] += power;
    }
  }
  for (int j = 0; j < kPer<P>; ++j) Store(sums + j * kWidth<V>, total[j]);
  tile.largest[r] = largest;
}

template <typename P>
LOCKSTEP_HD void AttendTile(const AttentionShape& shape, const QueryTile& tile, const float* query, const float* keys,
                            const float* values) {
  const int64_t size = shape.head_size, padded = tile.padded_size;
  for (int64_t key = 0; key < tile.mask.Seen(tile.first + tile.count - 1); key += kTileKeys) {
    for (int64_t r = 0; r < tile.count; r += P::kRows) {
      const int64_t last = tile.first + std::min<int64_t>(r + P::kRows, tile.count) - 1;
      const int64_t seen = std::min(tile.mask.Seen(last) - key, kTileKeys);
      if (seen <= 0) continue;
      const int64_t columns = RoundUp(seen, kPanel);
      float* scores = tile.scores + r * kScoreRow;
      ProductRows<P>(Left{query + r * padded, padded, 1}, Right{keys + key * size, kPanel, size * kPanel}, columns, 0,
                     size, [&](int i, int64_t j, auto v) LOCKSTEP_INLINE { Store(scores + i * kScoreRow + j, v); });
      for (int64_t i = r; i < r + P::kRows; ++i) {
        const int64_t row_seen = std::clamp<int64_t>(tile.mask.Seen(tile.first + i) - key, 0, seen);
        SoftmaxRow<P>(tile, i, columns, row_seen, key == 0);
      }
      float* result = tile.result + r * padded;
      ProductRows<P>(Left{scores, kScoreRow, 1}, Right{values + key * padded, padded, kPanel}, padded, 0, seen,
                     [&](int i, int64_t j, auto v) LOCKSTEP_INLINE {
                       float* at = result + i * padded + j;
                       Store(at, key == 0 ? v : Load<decltype(v)>(at) + v);
                     });
    }
  }
}

/// Divides by the sums of powers, and stores a tile's results and logarithms.
LOCKSTEP_HD void FinishTile(const QueryTile& tile, int64_t size, const Vectors<float>& y, float* lse) {
  for (int64_t r = 0; r < tile.count; ++r) {
    float* to = y.at(tile.first + r);
    const float* from = tile.result + r * tile.padded_size;
    const F8 sums[2] = {Load<F8>(tile.sums + r * kPanel), Load<F8>(tile.sums + r * kPanel + 8)};
    const float total = Total(sums), factor = 1.0f / total;
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) to[i] = from[i] * factor;
    tile.sums[r] = total;
  }
  if (lse == nullptr) return;
#pragma GCC ivdep
  for (int64_t r = 0; r < tile.count; ++r) {
    lse[r] = static_cast<float>(static_cast<double>(tile.largest[r]) * 0.6931471805599453 +
                                kernels::Log(static_cast<double>(tile.sums[r])));
  }
}

template <typename P>
void AttendPair(const ForwardJob& job, int64_t pair, float* workspace) {
  const AttentionShape& s = job.shape;
  const ForwardLayout at(s);
  const int64_t row = pair / s.kv_heads, kv_head = pair % s.kv_heads, padded = s.padded_size();
  const int64_t visible = s.Visible(row);
  const Mask mask{visible, s.causal, s.has_memory ? std::max<int64_t>(0, visible - s.queries) : 0};
  float *keys = workspace + at.keys, *values = workspace + at.values, *query = workspace + at.query;
  CopyTransposed(s.Key(job.operands, row, kv_head), mask.visible, s.head_size, keys);
  CopyPadded(s.ValueOf(job.operands, row, kv_head), mask.visible, s.head_size, 1.0f, values, mask.visible, padded);
  for (int64_t head = kv_head * s.group(); head < (kv_head + 1) * s.group(); ++head) {
    const Vectors<const float> queries = s.Query(job.operands, row, head);
    const Vectors<float> y = s.Result(job.y, row, head);
    float* lse = job.lse == nullptr ? nullptr : job.lse + (row * s.heads + head) * s.queries;
    for (int64_t first = 0; first < s.queries; first += kTileQueries) {
      const int64_t count = std::min(kTileQueries, s.queries - first);
      if (mask.visible == 0) {
        for (int64_t q = first; q < first + count; ++q) std::fill_n(y.at(q), s.head_size, 0.0f);
        if (lse != nullptr) std::fill_n(lse + first, count, 0.0f);
        continue;
      }
      const QueryTile tile{
          first, count, mask, workspace + at.scores, workspace + at.result, workspace + at.largest, workspace + at.sums,
          padded};
      CopyPadded({queries.at(first), queries.row}, count, s.head_size, s.query_factor(), query,
                 RoundUp(count, P::kRows), padded);
      AttendTile<P>(s, tile, query, keys, values);
      FinishTile(tile, s.head_size, y, lse == nullptr ? nullptr : lse + first);
    }
  }
}

}  // namespace
}  // namespace lockstep::onednn
