#include "trainer/infer/beam_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/trainer/infer/small_model.h"

namespace lockstep::infer {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const char* const kTransformer = "seq2seq { layers: 1 heads: 2 width: 8 inner: 12 }";
const char* const kLstm = "seq2seq { kind: LSTM layers: 2 width: 8 }";

std::vector<Hypothesis> Search(const SmallModel& model, const std::vector<Tokens>& sources, const BeamOptions& options,
                               int64_t capacity = 24) {
  constexpr int64_t kPlaces = 4;
  const auto count = static_cast<int64_t>(sources.size());
  Decoder decoder =
      model.MakeDecoder({.rows = count * options.beam, .capacity = capacity, .source = kPlaces, .sources = count});
  const Sources rows(sources, kPlaces);
  return SearchBeams(decoder, rows.tokens, rows.lengths, options);
}

/// By place of one row of logits: log probabilities.
std::vector<std::vector<double>> LogProbabilities(std::span<const float> logits, size_t vocabulary) {
  std::vector<std::vector<double>> result;
  for (size_t first = 0; first < logits.size(); first += vocabulary) {
    double sum = 0;
    for (const float logit : logits.subspan(first, vocabulary)) sum += std::exp(static_cast<double>(logit));
    result.emplace_back();
    for (const float logit : logits.subspan(first, vocabulary))
      result.back().push_back(static_cast<double>(logit) - std::log(sum));
  }
  return result;
}

/// All targets of up to `most` of `letters`, the shorter first.
std::vector<Tokens> AllTargets(const Tokens& letters, size_t most) {
  std::vector<Tokens> targets = {{}};
  for (size_t i = 0; i < targets.size(); ++i) {
    if (targets[i].size() == most) continue;
    for (const int32_t letter : letters) {
      Tokens longer = targets[i];
      longer.push_back(letter);
      targets.push_back(longer);
    }
  }
  return targets;
}

/// The best of `targets` by the whole graph's logits, and the second's score.
std::pair<Hypothesis, double> BestOf(const SmallModel& model, const Tokens& source, const std::vector<Tokens>& targets,
                                     size_t vocabulary, const BeamOptions& options) {
  std::vector<Tokens> rows;
  for (const Tokens& target : targets) {
    rows.push_back({options.begin});
    rows.back().insert(rows.back().end(), target.begin(), target.end());
  }
  const std::vector<float> logits = model.Whole(rows, std::vector<Tokens>(rows.size(), source));
  const size_t each = logits.size() / rows.size();
  std::pair<Hypothesis, double> best = {{.score = -1e30, .tokens = {}}, -1e30};
  for (size_t i = 0; i < targets.size(); ++i) {
    const auto places = LogProbabilities(std::span(logits).subspan(i * each, each), vocabulary);
    const size_t length = targets[i].size();
    double score = places[length][static_cast<size_t>(options.end)];
    for (size_t place = 0; place < length; ++place) score += places[place][static_cast<size_t>(targets[i][place])];
    score /= std::pow(static_cast<double>(length + 1), options.length_power);
    if (score > best.first.score) {
      best = {{score, targets[i]}, best.first.score};
    } else {
      best.second = std::max(best.second, score);
    }
  }
  return best;
}

/// Beam search as textbooks have it, with the whole graph's logits of each prefix.
Hypothesis SearchPrefixes(const SmallModel& model, const Tokens& source, const BeamOptions& options) {
  std::vector<Hypothesis> prefixes = {{}}, finished;
  const auto beam = static_cast<size_t>(options.beam);
  for (size_t length = 1; length <= source.size() + static_cast<size_t>(options.most_extra); ++length) {
    std::vector<Tokens> rows;
    for (const Hypothesis& prefix : prefixes) {
      rows.push_back({options.begin});
      rows.back().insert(rows.back().end(), prefix.tokens.begin(), prefix.tokens.end());
    }
    const std::vector<float> logits = model.Whole(rows, std::vector<Tokens>(rows.size(), source));
    const size_t each = logits.size() / rows.size();
    std::vector<Hypothesis> longer;
    for (size_t i = 0; i < prefixes.size(); ++i) {
      const auto places = LogProbabilities(std::span(logits).subspan(i * each, each), kVocabulary);
      for (int32_t token = 0; token < kVocabulary; ++token) {
        if (std::ranges::find(options.never, token) != options.never.end()) continue;
        longer.push_back(prefixes[i]);
        longer.back().tokens.push_back(token);
        longer.back().score += places[length - 1][static_cast<size_t>(token)];
      }
    }
    std::ranges::stable_sort(longer, std::greater{}, &Hypothesis::score);
    prefixes.clear();
    for (size_t rank = 0; rank < longer.size() && prefixes.size() < beam; ++rank) {
      Hypothesis& hypothesis = longer[rank];
      if (hypothesis.tokens.back() != options.end) {
        prefixes.push_back(hypothesis);
      } else if (rank < beam) {
        hypothesis.score /= std::pow(static_cast<double>(length), options.length_power);
        hypothesis.tokens.pop_back();
        finished.push_back(hypothesis);
      }
    }
    if (finished.size() >= beam) break;
  }
  if (finished.empty()) {
    prefixes[0].score /= std::pow(static_cast<double>(prefixes[0].tokens.size()), options.length_power);
    return prefixes[0];
  }
  return *std::ranges::max_element(finished, {}, &Hypothesis::score);
}

class Beams : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Beams, testing::Values(kTransformer, kLstm),
                         [](const auto& info) { return info.index == 0 ? "Transformer" : "Lstm"; });

TEST_P(Beams, AsManyAsThereAreTargetsFindTheBestOfAll) {
  // Three letters to write with; a source of n tokens has targets of up to n + 1 of them, and their end.
  constexpr int kSix = 6;
  const Tokens letters = {0, 3, 4};
  const std::vector<Tokens> sources = {{3, 0, 2}, {2}, {}};
  size_t longest = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const SmallModel model(GetParam(), -1, kSix, seed);
    for (const double power : {0.0, 0.6, 1.0, 1.5}) {
      // The widest step: 81 beginnings of four letters, each with its end and three ways to go on.
      const BeamOptions options{.beam = 324, .length_power = power, .never = {1, 5}, .most_extra = 2};
      const std::vector<Hypothesis> found = Search(model, sources, options);
      ASSERT_EQ(found.size(), sources.size());
      for (size_t i = 0; i < sources.size(); ++i) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << ", power " << power << ", source " << i);
        const auto [best, second] =
            BestOf(model, sources[i], AllTargets(letters, sources[i].size() + 1), kSix, options);
        EXPECT_NEAR(found[i].score, best.score, 1e-5);
        if (best.score - second > 1e-4) {
          EXPECT_EQ(found[i].tokens, best.tokens);
        }
        longest = std::max(longest, found[i].tokens.size());
      }
    }
  }
  EXPECT_EQ(longest, 4u) << "the models all like short targets: they test little";
}

TEST_P(Beams, OneIsTheLikeliestTokenAtEachStep) {
  const std::vector<Tokens> sources = {{3, 0, 2, 7}, {5, 2}, {2}};
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const SmallModel model(GetParam(), -1, kVocabulary, seed);
    const BeamOptions options{.beam = 1, .never = {1, 4}, .most_extra = 6};
    const std::vector<Hypothesis> found = Search(model, sources, options);
    for (size_t i = 0; i < sources.size(); ++i) {
      Decoder decoder = model.MakeDecoder({.rows = 1, .capacity = 24, .source = 4, .sources = 1});
      const Sources row({sources[i]}, 4);
      decoder.Reset(row.tokens, row.lengths);
      Tokens written;
      int32_t token = options.begin;
      while (written.size() < sources[i].size() + 6) {
        const std::span<const float> logits = decoder.Step({&token, 1});
        token = 0;
        for (int32_t other = 0; other < kVocabulary; ++other)
          if (other != 1 && other != 4 && logits[static_cast<size_t>(other)] > logits[static_cast<size_t>(token)])
            token = other;
        if (token == options.end) break;
        written.push_back(token);
      }
      EXPECT_EQ(found[i].tokens, written) << "source " << i;
    }
  }
}

TEST_P(Beams, AreThoseOfASearchOverWholePrefixes) {
  const std::vector<Tokens> sources = {{3, 0, 2, 7}, {5, 2}, {}};
  int unlike_greedy = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const SmallModel model(GetParam(), -1, kVocabulary, seed);
    const BeamOptions one{.beam = 1, .never = {1, 4}, .most_extra = 6};
    const std::vector<Hypothesis> greedy = Search(model, sources, one);
    for (const int beam : {2, 3, 5}) {
      BeamOptions options = one;
      options.beam = beam;
      const std::vector<Hypothesis> found = Search(model, sources, options);
      for (size_t i = 0; i < sources.size(); ++i) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << ", beam " << beam << ", source " << i);
        const Hypothesis expected = SearchPrefixes(model, sources[i], options);
        EXPECT_EQ(found[i].tokens, expected.tokens);
        EXPECT_NEAR(found[i].score, expected.score, 1e-5);
        unlike_greedy += expected.tokens != greedy[i].tokens;
      }
    }
  }
  EXPECT_GT(unlike_greedy, 12) << "the models all have one likeliest way: they test little";
}

TEST_P(Beams, OfASourceDoNotDependOnThoseBesideIt) {
  const std::vector<Tokens> sources = {{3, 0, 2, 7}, {5, 2}, {2}, {}};
  const SmallModel model(GetParam(), -1, kVocabulary, 3);
  const BeamOptions options{.beam = 4, .never = {1}, .most_extra = 6};
  const std::vector<Hypothesis> together = Search(model, sources, options);
  for (size_t i = 0; i < sources.size(); ++i)
    EXPECT_EQ(Search(model, {sources[i]}, options)[0].tokens, together[i].tokens) << "source " << i;
}

/// A translator whose tokens have these probabilities, whatever it has read.
SmallModel Monkey(const std::vector<double>& probabilities) {
  SmallModel model(kTransformer, -1, static_cast<int>(probabilities.size()));
  for (const engine::ArenaEntry& entry : model.weights().layout.entries())
    std::ranges::fill(model.Parameter(entry.name), 0.0f);
  // The last norm always says (1, 0, ..), so that the first channel of the embeddings is what counts.
  model.Parameter("decoder.norm.bias")[0] = 1;
  for (size_t token = 0; token < probabilities.size(); ++token)
    model.Parameter("embedding.weight")[token * 8] = static_cast<float>(std::log(probabilities[token]));
  return model;
}

TEST(BeamSearch, ATargetMayEndAtOnce) {
  const SmallModel model = Monkey({0.05, 0.02, 0.9, 0.03});
  for (const int beam : {1, 2, 3}) {
    const std::vector<Hypothesis> found = Search(model, {{3, 2}}, {.beam = beam, .never = {1}});
    EXPECT_THAT(found[0].tokens, IsEmpty()) << beam;
    EXPECT_NEAR(found[0].score, std::log(0.9), 1e-6) << beam;
  }
}

TEST(BeamSearch, LengthIsRewardedByItsPower) {
  // Token by token 0 costs little: the longer, the better the mean is.
  const SmallModel model = Monkey({0.6, 0.05, 0.3, 0.05});
  const std::vector<Tokens> source = {{3, 2}};
  const auto search = [&](double power) {
    return Search(model, source, {.beam = 3, .length_power = power, .never = {1}, .most_extra = 3})[0];
  };
  EXPECT_THAT(search(0).tokens, IsEmpty());
  EXPECT_NEAR(search(0).score, std::log(0.3), 1e-6);
  EXPECT_THAT(search(1).tokens, ElementsAre(0, 0));
  EXPECT_NEAR(search(1).score, (2 * std::log(0.6) + std::log(0.3)) / 3, 1e-6);
}

TEST(BeamSearch, WhatNeverEndsIsCutOff) {
  const SmallModel model = Monkey({0.5, 0.05, 1e-9, 0.45});
  const std::vector<Tokens> sources = {{3, 2}, {2}, {}};
  const std::vector<Hypothesis> found = Search(model, sources, {.beam = 2, .never = {1}, .most_extra = 3});
  for (size_t i = 0; i < sources.size(); ++i) {
    EXPECT_THAT(found[i].tokens, SizeIs(sources[i].size() + 3));
    EXPECT_THAT(found[i].tokens, Each(0));
    EXPECT_NEAR(found[i].score, std::log(0.5), 1e-6) << "the mean over its tokens";
  }
  // The decoder's room may be smaller.
  EXPECT_THAT(Search(model, sources, {.beam = 2, .never = {1}, .most_extra = 3}, /*capacity=*/4)[0].tokens, SizeIs(4));
}

TEST(BeamSearch, NeverTokensAreNeverWritten) {
  const SmallModel model = Monkey({0.01, 0.4, 0.01, 0.5, 0.08});
  EXPECT_THAT(Search(model, {{3, 2}}, {.beam = 2, .never = {1, 3}})[0].tokens, SizeIs(16));
  EXPECT_THAT(Search(model, {{3, 2}}, {.beam = 2, .never = {1, 3}})[0].tokens, Each(4));
  EXPECT_THAT(Search(model, {{3, 2}}, {.beam = 2, .never = {1}})[0].tokens, Each(3));
  EXPECT_THAT(Search(model, {{3, 2}}, {.beam = 2, .never = {0, 1, 3, 4}})[0].tokens, IsEmpty()) << "only the end";
}

TEST(BeamSearch, TiesGoToTheLowerToken) {
  const SmallModel model = Monkey(std::vector<double>(7, 1.0 / 7));
  for (const int beam : {1, 2, 3}) {
    SCOPED_TRACE(beam);
    const auto search = [&](int32_t end, const Tokens& never) {
      return Search(model, {{3, 2}}, {.beam = beam, .length_power = 0, .end = end, .never = never, .most_extra = 1})[0]
          .tokens;
    };
    EXPECT_THAT(search(/*end=*/6, {1}), ElementsAre(0, 0, 0));
    EXPECT_THAT(search(/*end=*/6, {0, 1}), ElementsAre(2, 2, 2));
    EXPECT_THAT(search(/*end=*/0, {1}), IsEmpty());
  }
}

TEST(BeamSearch, BeamsMayBeMoreThanTheTokensToGoOnWith) {
  // Two letters: eight beams are all alive only from the third step on.
  const SmallModel model = Monkey({0.5, 0.1, 0.15, 0.25});
  const Hypothesis wide = Search(model, {{3, 2}}, {.beam = 8, .length_power = 1, .never = {1}, .most_extra = 2})[0];
  EXPECT_THAT(wide.tokens, ElementsAre(0, 0, 0));
  EXPECT_NEAR(wide.score, (3 * std::log(0.5) + std::log(0.15)) / 4, 1e-6);
  // None: nothing but the end may follow.
  const Hypothesis none = Search(model, {{3, 2}}, {.beam = 8, .never = {0, 1, 3}})[0];
  EXPECT_THAT(none.tokens, IsEmpty());
  EXPECT_NEAR(none.score, std::log(0.15), 1e-6);
}

}  // namespace
}  // namespace lockstep::infer
