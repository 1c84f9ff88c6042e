#include "trainer/metrics/bleu.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "trainer/metrics/white_space.h"

namespace lockstep::metrics {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsPeriodOrComma(char c) { return c == '.' || c == ','; }

/// ASCII's punctuation but apostrophe, comma, dash and period; and the space.
bool StandsAlone(char c) {
  return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

void ReplaceAll(std::string_view from, std::string_view to, std::string& text) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

/// Puts `before`, `between` and `behind` around two neighbours where both fit, left to right; a byte is part of one
/// pair. (Of characters with several bytes one fits as all would: rules ask for ASCII, or for what is no digit.)
template <typename First, typename Second>
std::string SplitPairs(const std::string& text, First first, Second second, std::string_view before,
                       std::string_view between, std::string_view behind) {
  std::string result;
  for (size_t at = 0; at < text.size(); ++at) {
    if (at + 1 == text.size() || !first(text[at]) || !second(text[at + 1])) {
      result.push_back(text[at]);
      continue;
    }
    result.append(before).push_back(text[at]);
    result.append(between).push_back(text[++at]);
    result.append(behind);
  }
  return result;
}

/// A run of up to four words, by number; -1 behind its end.
using Ngram = std::array<int32_t, BleuCounts::kOrders>;
using Ngrams = std::map<Ngram, int64_t>;

/// Numbers words alike for both sentences.
class Numbering {
 public:
  std::vector<int32_t> operator()(std::string_view line) {
    std::vector<int32_t> numbers;
    for (const std::string_view word : WordsBetweenBlanks(line))
      numbers.push_back(words_.try_emplace(std::string(word), static_cast<int32_t>(words_.size())).first->second);
    return numbers;
  }

 private:
  std::map<std::string, int32_t> words_;
};

Ngrams NgramsOf(const std::vector<int32_t>& words) {
  Ngrams ngrams;
  for (size_t begin = 0; begin < words.size(); ++begin) {
    Ngram ngram;
    ngram.fill(-1);
    for (size_t n = 0; n < ngram.size() && begin + n < words.size(); ++n) {
      ngram[n] = words[begin + n];
      ++ngrams[ngram];
    }
  }
  return ngrams;
}

size_t OrderOf(const Ngram& ngram) {
  return static_cast<size_t>(std::find(ngram.begin(), ngram.end(), -1) - ngram.begin());
}

}  // namespace

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  for (size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
  return *this;
}

std::string Tokenize13a(std::string_view line) {
  // sacreBLEU takes blanks away from the end first: a dash in front of the last line end stays.
  const std::vector<std::string_view> words = WordsBetweenBlanks(line);
  std::string text = " ";
  if (!words.empty()) text.append(line.begin(), words.back().end());
  text += " ";
  ReplaceAll("<skipped>", "", text);
  ReplaceAll("-\n", "", text);
  ReplaceAll("\n", " ", text);
  ReplaceAll("&quot;", "\"", text);
  ReplaceAll("&amp;", "&", text);
  ReplaceAll("&lt;", "<", text);
  ReplaceAll("&gt;", ">", text);
  std::string apart;
  for (const char c : text) {
    if (StandsAlone(c))
      apart.append({' ', c, ' '});
    else
      apart.push_back(c);
  }
  const auto no_digit = [](char c) { return !IsDigit(c); };
  apart = SplitPairs(apart, no_digit, IsPeriodOrComma, "", " ", " ");
  apart = SplitPairs(apart, IsPeriodOrComma, no_digit, " ", " ", "");
  apart = SplitPairs(
      apart, IsDigit, [](char c) { return c == '-'; }, "", " ", " ");
  std::string joined;
  for (const std::string_view word : WordsBetweenBlanks(apart)) joined.append(joined.empty() ? "" : " ").append(word);
  return joined;
}

BleuCounts CountBleu(std::string_view written, std::string_view reference) {
  Numbering number;
  const std::vector<int32_t> words = number(Tokenize13a(written)), expected = number(Tokenize13a(reference));
  const Ngrams there = NgramsOf(expected);
  BleuCounts counts;
  counts.values[0] = static_cast<int64_t>(words.size());
  counts.values[1] = static_cast<int64_t>(expected.size());
  for (const auto& [ngram, count] : NgramsOf(words)) {
    const size_t order = OrderOf(ngram);
    counts.values[1 + BleuCounts::kOrders + order] += count;
    const auto match = there.find(ngram);
    if (match != there.end()) counts.values[1 + order] += std::min(count, match->second);
  }
  return counts;
}

double Bleu(const BleuCounts& counts) {
  double logarithms = 0, smoothing = 1;
  bool matched = false;
  for (int order = 1; order <= BleuCounts::kOrders; ++order) {
    if (counts.total(order) == 0) return 0;
    double matches = static_cast<double>(counts.matches(order));
    matched |= matches > 0;
    if (matches == 0) matches = 1 / (smoothing *= 2);
    logarithms += std::log(100 * matches / static_cast<double>(counts.total(order)));
  }
  if (!matched) return 0;
  const auto written = static_cast<double>(counts.written()), reference = static_cast<double>(counts.reference());
  const double brevity = written < reference ? std::exp(1 - reference / written) : 1;
  return brevity * std::exp(logarithms / BleuCounts::kOrders);
}

}  // namespace lockstep::metrics
