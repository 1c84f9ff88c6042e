// What attention and its gradient share: what the operands say, and how keys and values are laid out for products.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "trainer/kernels/onednn/fused_simd.h"
#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {

/// Queries and keys of a tile of scores: two tiles of scores and what they are made from stay in the second-level
/// cache. Multiples of every register tile's rows, and of a panel.
inline constexpr int64_t kTileQueries = 64, kTileKeys = 128;
/// Between rows of a tile of scores: not a multiple of the first-level cache's sets, so columns can be read as well.
inline constexpr int64_t kScoreRow = kTileKeys + kPanel;

inline constexpr int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// One head's vectors by place: dimension i of place p at data[p * row + i].
template <typename T>
struct Vectors {
  T* data;
  int64_t row;

  T* at(int64_t place) const { return data + place * row; }
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

/// The first `visible` keys, and of those the ones up to a query's own place.
struct Mask {
  int64_t visible;
  bool causal;

  int64_t Seen(int64_t query) const { return causal ? std::min(visible, query + 1) : visible; }
};

/// [places, size] -> [padded places, padded size] times `factor`, with zeros around it.
LOCKSTEP_HD void CopyPadded(const Vectors<const float>& from, int64_t places, int64_t size, float factor, float* to,
                            int64_t padded_places, int64_t padded_size) {
  for (int64_t p = 0; p < places; ++p, to += padded_size) {
    const float* vector = from.at(p);
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) to[i] = vector[i] * factor;
    for (int64_t i = size; i < padded_size; ++i) to[i] = 0.0f;
  }
  for (int64_t i = 0; i < (padded_places - places) * padded_size; ++i) to[i] = 0.0f;
}

/// [places, size] -> panels of 16 places [padded places / 16, size, 16], with zeros behind the last place.
LOCKSTEP_HD void CopyTransposed(const Vectors<const float>& from, int64_t places, int64_t size, float* to) {
  for (int64_t first = 0; first < places; first += kPanel, to += size * kPanel) {
    const int64_t count = std::min(kPanel, places - first);
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

/// Runs F::Run<P>(arguments...), compiled for the instruction set that the run is pinned to.
#ifdef LOCKSTEP_FUSED_X86
template <typename F, typename... Arguments>
__attribute__((target("arch=x86-64-v4"))) void RunAvx512(const Arguments&... arguments) {
  F::template Run<Avx512>(arguments...);
}
template <typename F, typename... Arguments>
__attribute__((target("arch=x86-64-v3"))) void RunAvx2(const Arguments&... arguments) {
  F::template Run<Avx2>(arguments...);
}
#endif
template <typename F, typename... Arguments>
void RunForIsa(const Arguments&... arguments) {
#ifdef LOCKSTEP_FUSED_X86
  static const bool avx512 = HasAvx512(), avx2 = HasAvx2();
  if (avx512) return RunAvx512<F>(arguments...);
  if (avx2) return RunAvx2<F>(arguments...);
#endif
  F::template Run<Generic>(arguments...);
}

}  // namespace lockstep::onednn
