// How many n-grams of translations stand in their references: BLEU (Papineni et al. 2002, "BLEU: a Method for Automatic
// Evaluation of Machine Translation") of a corpus, as sacreBLEU 2.6.0 (Post 2018, "A Call for Clarity in Reporting BLEU
// Scores") computes it by default, signature nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp: words as mteval-v13a cuts
// them, up to four of them, and exponential smoothing of orders without a match.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace lockstep::metrics {

/// Counts of sentences, which add up over a corpus in any order.
struct BleuCounts {
  static constexpr int kOrders = 4;
  static constexpr int kSize = 2 + 2 * kOrders;

  /// Words written, words of references, then matches of n-grams by order, then n-grams written by order.
  std::array<int64_t, kSize> values{};

  int64_t written() const { return values[0]; }
  int64_t reference() const { return values[1]; }
  /// Order 1 to kOrders.
  int64_t matches(int order) const { return values[static_cast<size_t>(1 + order)]; }
  int64_t total(int order) const { return values[static_cast<size_t>(1 + kOrders + order)]; }

  BleuCounts& operator+=(const BleuCounts& other);
  friend bool operator==(const BleuCounts&, const BleuCounts&) = default;
};

/// Both UTF-8.
BleuCounts CountBleu(std::string_view written, std::string_view reference);

/// 0 to 100. 0 where nothing matches, or nothing was written that has four words.
double Bleu(const BleuCounts& counts);

/// The words of a line as mteval-v13a cuts them, with one space between them.
std::string Tokenize13a(std::string_view line);

}  // namespace lockstep::metrics
