#include "trainer/infer/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace lockstep::infer {
namespace {

constexpr double kNever = -1e30;

/// A way to go on.
struct Candidate {
  double score = kNever;  ///< the log probability of all tokens
  int beam = 0;
  int32_t token = 0;
};

/// Better ones first; what is equal by beam, then token, so that nothing is left to chance.
bool Better(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
}

/// One source's beams.
class Search {
 public:
  Search(const BeamOptions& options, int64_t source) : options_(options), most_(source + options.most_extra) {
    scores_.assign(static_cast<size_t>(options.beam), kNever);
    scores_[0] = 0;
    written_.resize(static_cast<size_t>(options.beam));
  }

  bool done() const { return done_; }

  /// Takes the logits [beam, vocabulary] of the next token. Fills in which beam each goes on from, and its token.
  void Advance(std::span<const float> logits, std::span<int32_t> parents, std::span<int32_t> tokens,
               int32_t first_row) {
    Gather(logits);
    std::vector<double> scores;
    std::vector<std::vector<int32_t>> written;
    const auto length = static_cast<double>(written_[0].size() + 1);
    const auto beam = static_cast<size_t>(options_.beam);
    for (size_t rank = 0; rank < candidates_.size() && scores.size() < beam; ++rank) {
      const Candidate& candidate = candidates_[rank];
      const std::vector<int32_t>& before = written_[static_cast<size_t>(candidate.beam)];
      if (candidate.token == options_.end) {
        // Only what is among the best `beam` may end: the others are there to go on with.
        if (rank < beam) finished_.push_back({candidate.score / std::pow(length, options_.length_power), before});
        continue;
      }
      parents[scores.size()] = first_row + candidate.beam;
      tokens[scores.size()] = candidate.token;
      scores.push_back(candidate.score);
      written.push_back(before);
      written.back().push_back(candidate.token);
    }
    if (scores.empty()) {  // all ends
      done_ = true;
      return;
    }
    // Where tokens are fewer than beams, some are not alive yet: what they read is never looked at.
    std::fill(parents.begin() + static_cast<std::ptrdiff_t>(scores.size()), parents.end(), first_row);
    std::fill(tokens.begin() + static_cast<std::ptrdiff_t>(scores.size()), tokens.end(), options_.end);
    scores.resize(beam, kNever);
    written.resize(beam);
    scores_ = std::move(scores);
    written_ = std::move(written);
    done_ = finished_.size() >= beam || static_cast<int64_t>(written_[0].size()) >= most_;
  }

  Hypothesis Best() const {
    if (finished_.empty())
      return {scores_[0] / std::pow(static_cast<double>(written_[0].size()), options_.length_power), written_[0]};
    return *std::max_element(finished_.begin(), finished_.end(),
                             [](const Hypothesis& a, const Hypothesis& b) { return a.score < b.score; });
  }

 private:
  /// The best 2 beam ways to go on, or all: if every beam ends there are still as many as beams, or all there are.
  void Gather(std::span<const float> logits) {
    const size_t vocabulary = logits.size() / static_cast<size_t>(options_.beam);
    const size_t wanted = 2 * static_cast<size_t>(options_.beam);
    candidates_.clear();
    for (int beam = 0; beam < options_.beam; ++beam) {
      const double score = scores_[static_cast<size_t>(beam)];
      if (score <= kNever) continue;
      const std::span<const float> row = logits.subspan(static_cast<size_t>(beam) * vocabulary, vocabulary);
      const double shift = score - LogSumExp(row);
      for (size_t token = 0; token < vocabulary; ++token) {
        const Candidate candidate{shift + static_cast<double>(row[token]), beam, static_cast<int32_t>(token)};
        if (candidates_.size() == wanted && !Better(candidate, candidates_.back())) continue;
        if (std::ranges::find(options_.never, candidate.token) != options_.never.end()) continue;
        if (candidates_.size() == wanted) candidates_.pop_back();
        candidates_.insert(std::upper_bound(candidates_.begin(), candidates_.end(), candidate, Better), candidate);
      }
    }
  }

  static double LogSumExp(std::span<const float> row) {
    const float largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (float logit : row) sum += static_cast<double>(std::exp(logit - largest));
    return static_cast<double>(largest) + std::log(sum);
  }

  const BeamOptions& options_;
  const int64_t most_;
  std::vector<double> scores_;                 ///< by beam
  std::vector<std::vector<int32_t>> written_;  ///< by beam
  std::vector<Hypothesis> finished_;
  std::vector<Candidate> candidates_;
  bool done_ = false;
};

}  // namespace

std::vector<Hypothesis> SearchBeams(Decoder& decoder, std::span<const int32_t> sources,
                                    std::span<const int32_t> lengths, const BeamOptions& options) {
  const auto beam = static_cast<size_t>(options.beam);
  CHECK(options.beam >= 1 && decoder.options().rows == static_cast<int64_t>(lengths.size() * beam));
  decoder.Reset(sources, lengths);
  std::vector<Search> searches;
  for (int32_t length : lengths) searches.emplace_back(options, length);
  std::vector<int32_t> tokens(lengths.size() * beam, options.begin), parents(tokens.size());
  while (decoder.length() < decoder.options().capacity) {
    const std::span<const float> logits = decoder.Step(tokens);
    const size_t size = logits.size() / lengths.size();
    bool all_done = true;
    for (size_t i = 0; i < searches.size(); ++i) {
      const std::span<int32_t> mine = std::span(parents).subspan(i * beam, beam);
      for (size_t b = 0; b < beam; ++b) mine[b] = static_cast<int32_t>(i * beam + b);
      if (!searches[i].done()) {
        searches[i].Advance(logits.subspan(i * size, size), mine, std::span(tokens).subspan(i * beam, beam),
                            static_cast<int32_t>(i * beam));
      }
      all_done = all_done && searches[i].done();
    }
    if (all_done) break;
    decoder.Reorder(parents);
  }
  std::vector<Hypothesis> best;
  for (const Search& search : searches) best.push_back(search.Best());
  return best;
}

}  // namespace lockstep::infer
