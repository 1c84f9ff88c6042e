#include "trainer/metrics/chrf.h"

#include <algorithm>
#include <string>
#include <vector>

#include "trainer/metrics/edit_distance.h"
#include "trainer/metrics/white_space.h"

namespace lockstep::metrics {
namespace {

/// A sentence without its blanks, and where its characters begin.
struct Characters {
  explicit Characters(std::string_view sentence) {
    for (const std::string_view word : WordsBetweenBlanks(sentence)) text += word;
    for (const std::string_view character : CharactersOf(text))
      begins.push_back(static_cast<size_t>(character.data() - text.data()));
    begins.push_back(text.size());
  }
  Characters(const Characters&) = delete;
  Characters& operator=(const Characters&) = delete;

  /// Sorted.
  std::vector<std::string_view> Ngrams(size_t order) const {
    std::vector<std::string_view> ngrams;
    for (size_t i = 0; i + order < begins.size(); ++i)
      ngrams.push_back(std::string_view(text).substr(begins[i], begins[i + order] - begins[i]));
    std::sort(ngrams.begin(), ngrams.end());
    return ngrams;
  }

  std::string text;
  std::vector<size_t> begins;
};

/// How many elements two sorted lists have in common, repetitions counted.
int64_t CountCommon(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  int64_t count = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    const int order = i->compare(*j);
    count += order == 0 ? 1 : 0;
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  return count;
}

}  // namespace

ChrfCounts& ChrfCounts::operator+=(const ChrfCounts& other) {
  for (size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
  return *this;
}

ChrfCounts CountChrf(std::string_view written, std::string_view reference) {
  const Characters mine(written), expected(reference);
  ChrfCounts counts;
  for (size_t i = 0; i < ChrfCounts::kOrders; ++i) {
    const auto ngrams = mine.Ngrams(i + 1), others = expected.Ngrams(i + 1);
    if (others.empty()) break;
    counts.values[3 * i] = static_cast<int64_t>(ngrams.size());
    counts.values[3 * i + 1] = static_cast<int64_t>(others.size());
    counts.values[3 * i + 2] = CountCommon(ngrams, others);
  }
  return counts;
}

double Chrf(const ChrfCounts& counts) {
  constexpr double kRecallWeight = 4;  // beta squared
  double precision = 0, recall = 0;
  int orders = 0;  // that both sides have
  for (size_t i = 0; i < ChrfCounts::kSize; i += 3) {
    const auto written = static_cast<double>(counts.values[i]), reference = static_cast<double>(counts.values[i + 1]),
               matches = static_cast<double>(counts.values[i + 2]);
    if (written == 0 || reference == 0) continue;
    precision += matches / written;
    recall += matches / reference;
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + kRecallWeight) * precision * recall / (kRecallWeight * precision + recall);
}

}  // namespace lockstep::metrics
