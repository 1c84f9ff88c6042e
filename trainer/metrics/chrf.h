// How many runs of characters translations share with their references: chrF2 (Popovic 2015, "chrF: character n-gram
// F-score for automatic MT evaluation") of a corpus, as sacreBLEU 2.6.0 computes it by default, signature
// nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no: up to six characters, no words, blanks left out, recall twice as
// important as precision.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lockstep::metrics {

/// Counts of sentences, which add up over a corpus in any order.
struct ChrfCounts {
  static constexpr int kOrders = 6;
  static constexpr int kSize = 3 * kOrders;

  /// By order: n-grams written, n-grams of the reference, matches. Where a sentence's reference has none of an order,
  /// those written don't count.
  std::array<int64_t, kSize> values{};

  ChrfCounts& operator+=(const ChrfCounts& other);
  friend bool operator==(const ChrfCounts&, const ChrfCounts&) = default;
};

/// Both UTF-8.
ChrfCounts CountChrf(std::string_view written, std::string_view reference);

/// 0 to 100.
double Chrf(const ChrfCounts& counts);

}  // namespace lockstep::metrics
