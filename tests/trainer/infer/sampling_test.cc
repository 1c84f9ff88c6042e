#include "trainer/infer/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lockstep::infer {
namespace {

using testing::Each;

constexpr int kDraws = 20000;

// Their probabilities, tokens not in order of them: 0.1, 0.4, 0.05, 0.3, 0.15.
const std::vector<double> kProbabilities = {0.1, 0.4, 0.05, 0.3, 0.15};

std::vector<float> Logits() {
  std::vector<float> logits;
  for (const double probability : kProbabilities) logits.push_back(static_cast<float>(std::log(probability) + 3));
  return logits;
}

std::vector<int32_t> Draw(const SamplingOptions& options, const std::vector<float>& logits, int draws) {
  Sampler sampler(options);
  std::vector<int32_t> tokens;
  for (int i = 0; i < draws; ++i) tokens.push_back(sampler.Draw(logits, static_cast<uint64_t>(i)));
  return tokens;
}

/// That tokens come as often as `probabilities` say, within five standard deviations; those of 0 never.
void ExpectFrequencies(const SamplingOptions& options, const std::vector<double>& probabilities) {
  std::vector<int> counts(probabilities.size());
  for (const int32_t token : Draw(options, Logits(), kDraws)) ++counts.at(static_cast<size_t>(token));
  for (size_t i = 0; i < counts.size(); ++i) {
    const double p = probabilities[i];
    EXPECT_NEAR(counts[i], p * kDraws, 5 * std::sqrt(kDraws * p * (1 - p))) << "token " << i;
  }
}

TEST(Sampler, DrawsByProbability) {
  ExpectFrequencies({.seed = 1}, kProbabilities);
  ExpectFrequencies({.seed = 2}, kProbabilities);
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  for (const double temperature : {0.5, 2.0}) {
    std::vector<double> powers;
    double sum = 0;
    for (const double probability : kProbabilities) sum += powers.emplace_back(std::pow(probability, 1 / temperature));
    for (double& power : powers) power /= sum;
    ExpectFrequencies({.temperature = temperature, .seed = 3}, powers);
  }
}

TEST(Sampler, TopKKeepsTheLikeliest) {
  ExpectFrequencies({.top_k = 2, .seed = 4}, {0, 0.4 / 0.7, 0, 0.3 / 0.7, 0});
  ExpectFrequencies({.top_k = 5, .seed = 4}, kProbabilities);
  ExpectFrequencies({.top_k = 1000, .seed = 4}, kProbabilities);
}

TEST(Sampler, TopPKeepsTheFewestThatComeToIt) {
  ExpectFrequencies({.top_p = 0.69, .seed = 5}, {0, 0.4 / 0.7, 0, 0.3 / 0.7, 0});
  ExpectFrequencies({.top_p = 0.71, .seed = 5}, {0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85});
  ExpectFrequencies({.top_p = 0.1, .seed = 5}, {0, 1, 0, 0, 0});
  ExpectFrequencies({.top_p = 0, .seed = 5}, {0, 1, 0, 0, 0});
  // Of those that top_k leaves, 0.4 is 4/7.
  ExpectFrequencies({.top_k = 2, .top_p = 0.56, .seed = 5}, {0, 1, 0, 0, 0});
  ExpectFrequencies({.top_k = 2, .top_p = 0.58, .seed = 5}, {0, 0.4 / 0.7, 0, 0.3 / 0.7, 0});
}

TEST(Sampler, TemperatureZeroAndTopOneTakeTheLikeliest) {
  EXPECT_THAT(Draw({.temperature = 0, .seed = 6}, Logits(), 100), Each(1));
  EXPECT_THAT(Draw({.top_k = 1, .seed = 6}, Logits(), 100), Each(1));
}

TEST(Sampler, TiesGoToTheLowerToken) {
  const std::vector<float> logits = {0, 2, 1, 2, 2};
  EXPECT_THAT(Draw({.temperature = 0}, logits, 10), Each(1));
  EXPECT_THAT(Draw({.top_k = 1}, logits, 10), Each(1));
  EXPECT_THAT(Draw({.top_p = 0.01}, logits, 10), Each(1));
  EXPECT_THAT(Draw({.top_k = 2}, logits, 200), Each(testing::AnyOf(1, 3)));
}

TEST(Sampler, ATokensNumberAndTheSeedDecideIt) {
  const std::vector<int32_t> tokens = Draw({.seed = 7}, Logits(), 200);
  EXPECT_EQ(Draw({.seed = 7}, Logits(), 200), tokens);
  EXPECT_NE(Draw({.seed = 8}, Logits(), 200), tokens);
  // Not what was drawn before.
  Sampler sampler({.seed = 7});
  for (const size_t index : {150, 3, 77, 3}) EXPECT_EQ(sampler.Draw(Logits(), index), tokens[index]);
}

TEST(Sampler, HugeLogitsAndImpossibleTokensDoNoHarm) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(Draw({.seed = 9}, {kNever, 3e38f, -3e38f, kNever}, 500), Each(1));
  EXPECT_THAT(Draw({.temperature = 1e-3, .seed = 9}, {90, 100, 99}, 500), Each(1));
  EXPECT_THAT(Draw({.seed = 9}, {kNever, 1, kNever, 1, kNever}, 500), Each(testing::AnyOf(1, 3)));
  EXPECT_THAT(Draw({.seed = 9}, {-4}, 5), Each(0));
}

}  // namespace
}  // namespace lockstep::infer
