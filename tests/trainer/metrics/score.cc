// Counts and scores for compare_sacrebleu.py: standard input holds pairs of what was written and its reference, each
// text with its length in bytes and a line end in front. A line for each pair: its 10 counts of BLEU, its 18 of chrF;
// and one with both scores of all.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <iterator>
#include <string>

#include "trainer/metrics/bleu.h"
#include "trainer/metrics/chrf.h"

int main() {
  using namespace lockstep::metrics;
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});
  std::string_view rest = input;
  const auto next = [&rest] {
    const size_t line = rest.find('\n'), bytes = std::stoul(std::string(rest.substr(0, line)));
    const std::string_view text = rest.substr(line + 1, bytes);
    rest.remove_prefix(line + 1 + bytes);
    return text;
  };
  BleuCounts bleu;
  ChrfCounts chrf;
  while (!rest.empty()) {
    const std::string_view written = next(), reference = next();
    const BleuCounts words = CountBleu(written, reference);
    const ChrfCounts characters = CountChrf(written, reference);
    fmt::print("{} {}\n", fmt::join(words.values, " "), fmt::join(characters.values, " "));
    bleu += words;
    chrf += characters;
  }
  fmt::print("{:.17g} {:.17g}\n", Bleu(bleu), Chrf(chrf));
}
