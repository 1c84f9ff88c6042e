#include "trainer/optim/optimizer.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "base/error.h"

namespace lockstep::optim {
namespace {

OptimizerConfig Parse(const std::string& text) {
  OptimizerConfig config;
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), "{}", text);
  Validate(config);
  return config;
}

/// All arrays of a small arena.
struct Arena {
  std::vector<float> weights, gradient;
  std::vector<std::vector<float>> state;

  Arena(const Optimizer& optimizer, size_t size, unsigned seed) : weights(size), gradient(size) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (float& weight : weights) weight = normal(random);
    for (size_t i = 0; i < optimizer.state_names().size(); ++i) {
      const bool ema = static_cast<int>(i) == optimizer.ema_index();
      state.push_back(ema ? weights : std::vector<float>(size));
    }
  }

  Optimizer::Slice Slice(size_t begin, size_t end) {
    Optimizer::Slice slice;
    slice.begin = static_cast<int64_t>(begin);
    slice.gradient = std::span(gradient).subspan(begin, end - begin);
    slice.weights = weights.data() + begin;
    for (auto& array : state) slice.state.push_back(array.data() + begin);
    return slice;
  }
  Optimizer::Slice Whole() { return Slice(0, weights.size()); }

  std::vector<uint32_t> Bits() const {
    std::vector<uint32_t> bits;
    for (float value : weights) bits.push_back(std::bit_cast<uint32_t>(value));
    for (const auto& array : state) {
      for (float value : array) bits.push_back(std::bit_cast<uint32_t>(value));
    }
    return bits;
  }
};

std::vector<float> GradientOfStep(size_t size, unsigned step) {
  std::mt19937 random(1000 + step);
  std::normal_distribution<float> normal;
  std::vector<float> gradient(size);
  for (float& value : gradient) value = normal(random);
  return gradient;
}

/// One weight as torch.optim documents SGD, Adam and AdamW, in double precision.
struct Reference {
  const OptimizerConfig& config;
  double weight;
  double momentum = 0, m = 0, v = 0;

  void Step(double g, double rate, double decay, int t) {
    if (config.has_adamw()) weight *= 1 - rate * decay;
    if (!config.has_adamw()) g += decay * weight;
    if (config.has_sgd()) {
      momentum = t == 1 ? g : config.sgd().momentum() * momentum + g;
      weight -= rate * (config.sgd().nesterov() ? g + config.sgd().momentum() * momentum : momentum);
      return;
    }
    const Adam& adam = config.has_adamw() ? config.adamw() : config.adam();
    const double beta1 = adam.has_beta1() ? adam.beta1() : 0.9, beta2 = adam.has_beta2() ? adam.beta2() : 0.999;
    const double epsilon = adam.has_epsilon() ? adam.epsilon() : 1e-8;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    weight -= rate / (1 - std::pow(beta1, t)) * m / (std::sqrt(v) / std::sqrt(1 - std::pow(beta2, t)) + epsilon);
  }
};

const char* const kRules[] = {
    "sgd {} learning_rate: 0.1",
    "sgd {} learning_rate: 0.1 weight_decay: 0.01",
    "sgd { momentum: 0.9 } learning_rate: 0.05 weight_decay: 0.01",
    "sgd { momentum: 0.9 nesterov: true } learning_rate: 0.05 weight_decay: 0.01 ema_decay: 0.9",
    "adam {} learning_rate: 0.01 weight_decay: 0.01",
    "adam { beta1: 0.8 beta2: 0.95 epsilon: 1e-4 } learning_rate: 0.01",
    "adamw {} learning_rate: 0.01 weight_decay: 0.1",
    "adamw { beta1: 0 beta2: 0.95 } learning_rate: 0.01 weight_decay: 0.1 ema_decay: 0.99 "
    "schedule { warmup_fraction: 0.2 cosine {} }",
};

class Rule : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(All, Rule, testing::ValuesIn(kRules));

TEST_P(Rule, FollowsTheDefinitionInDoublePrecision) {
  constexpr size_t kSize = 37;
  constexpr int kSteps = 25;
  constexpr float kClip = 0.5f, kFactor = 0.75f;
  const OptimizerConfig config = Parse(GetParam());
  const float decay = static_cast<float>(config.weight_decay());
  const Optimizer optimizer(config, {{.begin = 0, .end = kSize, .rate_factor = kFactor, .weight_decay = decay}},
                            {kSteps, 5}, 4);
  Arena arena(optimizer, kSize, 1);
  std::vector<Reference> reference;
  for (float weight : arena.weights) reference.push_back({config, weight});
  std::vector<double> average(arena.weights.begin(), arena.weights.end());

  for (int step = 0; step < kSteps; ++step) {
    arena.gradient = GradientOfStep(kSize, static_cast<unsigned>(step));
    optimizer.Update(static_cast<uint64_t>(step), static_cast<uint64_t>(step), kClip, arena.Whole());
    const double rate = config.learning_rate() * ScheduleFactor(config.schedule(), {kSteps, 5}, step) * kFactor;
    for (size_t i = 0; i < kSize; ++i) {
      reference[i].Step(kClip * static_cast<double>(arena.gradient[i]), rate, config.weight_decay(), step + 1);
      average[i] = config.ema_decay() * average[i] + (1 - config.ema_decay()) * reference[i].weight;
      ASSERT_NEAR(arena.weights[i], reference[i].weight, 2e-6) << "step " << step << " element " << i;
      if (optimizer.ema_index() >= 0) {
        ASSERT_NEAR(arena.state[static_cast<size_t>(optimizer.ema_index())][i], average[i], 2e-6);
      }
    }
  }
}

/// Two parameters with padding between and behind them, a frozen one, and a running statistic.
std::vector<Segment> MixedSegments() {
  return {{.begin = 0, .end = 13, .weight_decay = 0.01f},
          {.begin = 16, .end = 21, .rate_factor = 0.5f},
          {.begin = 21, .end = 27, .frozen = true},
          {.begin = 32, .end = 41, .statistic_momentum = 0.1f}};
}
constexpr size_t kMixedSize = 48;

TEST_P(Rule, HasTheSameBytesUnderEverySlicing) {
  const Optimizer optimizer(Parse(GetParam()), MixedSegments(), {20, 5}, 3);
  for (float clip : {1.0f, 0.37f}) {
    Arena whole(optimizer, kMixedSize, 2);
    for (unsigned step = 0; step < 3; ++step) {
      whole.gradient = GradientOfStep(kMixedSize, step);
      optimizer.Update(step, step, clip, whole.Whole());
    }
    for (size_t a = 0; a <= kMixedSize; ++a) {
      for (size_t b = a; b <= kMixedSize; ++b) {
        Arena cut(optimizer, kMixedSize, 2);
        for (unsigned step = 0; step < 3; ++step) {
          cut.gradient = GradientOfStep(kMixedSize, step);
          optimizer.Update(step, step, clip, cut.Slice(b, kMixedSize));
          optimizer.Update(step, step, clip, cut.Slice(0, a));
          optimizer.Update(step, step, clip, cut.Slice(a, b));
        }
        ASSERT_EQ(cut.Bits(), whole.Bits()) << "cut at " << a << " and " << b;
      }
    }
  }
}

TEST_P(Rule, HasTheSameBytesElementByElementOverALongSegment) {
  // Longer than what is updated at a time, and no multiple of any vector's width.
  constexpr size_t kSize = 2 * 4096 + 77;
  const Optimizer optimizer(Parse(GetParam()), {{.begin = 0, .end = kSize, .weight_decay = 0.01f}}, {20, 5}, 3);
  Arena whole(optimizer, kSize, 3), single(optimizer, kSize, 3);
  whole.gradient = single.gradient = GradientOfStep(kSize, 0);
  optimizer.Update(7, 7, 0.5f, whole.Whole());
  for (size_t i = 0; i < kSize; ++i) optimizer.Update(7, 7, 0.5f, single.Slice(i, i + 1));
  EXPECT_EQ(single.Bits(), whole.Bits());
}

TEST_P(Rule, LeavesFrozenParametersAndPaddingAlone) {
  const Optimizer optimizer(Parse(GetParam()), MixedSegments(), {20, 5}, 3);
  Arena arena(optimizer, kMixedSize, 4);
  const Arena before = arena;
  arena.gradient = GradientOfStep(kMixedSize, 0);
  optimizer.Update(0, 0, 1, arena.Whole());
  for (size_t i = 0; i < kMixedSize; ++i) {
    const bool trained = i < 13 || (i >= 16 && i < 21), statistic = i >= 32 && i < 41;
    EXPECT_EQ(arena.weights[i] != before.weights[i], trained || statistic) << i;
    for (size_t k = 0; k < arena.state.size() && !trained; ++k) {
      const bool ema = static_cast<int>(k) == optimizer.ema_index();
      EXPECT_EQ(arena.state[k][i], ema && statistic ? arena.weights[i] : before.state[k][i]) << i;
    }
  }
}

/// What is thawed at step 5 then moves as what begins at step 0.
TEST_P(Rule, ThawedParametersBeginAfresh) {
  constexpr size_t kSize = 40;
  Segment segment{.begin = 0, .end = kSize, .weight_decay = 0.01f};
  const Optimizer fresh(Parse(GetParam()), {segment}, {20, 5}, 3);
  segment.frozen = true;
  segment.thaw_at_step = 5;
  const Optimizer thawed(Parse(GetParam()), {segment}, {20, 5}, 3);
  Arena expected(fresh, kSize, 4), arena(thawed, kSize, 4);
  const Arena before = arena;
  for (uint64_t step = 0; step < 8; ++step) {
    arena.gradient = expected.gradient = GradientOfStep(kSize, static_cast<unsigned>(step));
    thawed.Update(step, step, 1, arena.Whole());
    if (step < 5) {
      EXPECT_EQ(arena.Bits(), before.Bits()) << step;
      continue;
    }
    // The same learning rate, as a schedule goes on meanwhile.
    fresh.Update(step, step - 5, 1, expected.Whole());
    EXPECT_EQ(arena.Bits(), expected.Bits()) << step;
  }
}

TEST(Sgd, MomentumHasTheValuesOfAHandCalculation) {
  // Gradient 1 throughout, momentum 0.9, rate 0.1: buffers 1, 1.9, 2.71.
  const Optimizer optimizer(Parse("sgd { momentum: 0.9 } learning_rate: 0.1"), {{.begin = 0, .end = 1}}, {9, 1}, 1);
  EXPECT_EQ(optimizer.state_names(), std::vector<std::string>{"momentum"});
  Arena arena(optimizer, 1, 1);
  arena.weights = {1}, arena.gradient = {1};
  for (const double expected : {0.9, 0.71, 0.439}) {
    optimizer.Update(0, 0, 1, arena.Whole());
    EXPECT_NEAR(arena.weights[0], expected, 1e-6);
  }
}

TEST(Sgd, NesterovHasTheValuesOfAHandCalculation) {
  // Moves 1 + 0.9 * 1, then 1 + 0.9 * 1.9.
  const Optimizer optimizer(Parse("sgd { momentum: 0.9 nesterov: true } learning_rate: 0.1"), {{.begin = 0, .end = 1}},
                            {9, 1}, 1);
  Arena arena(optimizer, 1, 1);
  arena.weights = {1}, arena.gradient = {1};
  for (const double expected : {0.81, 0.539}) {
    optimizer.Update(0, 0, 1, arena.Whole());
    EXPECT_NEAR(arena.weights[0], expected, 1e-6);
  }
}

TEST(Sgd, WithoutMomentumKeepsNoState) {
  EXPECT_TRUE(Optimizer(Parse("sgd {} learning_rate: 0.1"), {}, {1, 1}, 1).state_names().empty());
}

TEST(Adam, MovesByTheRateUnderAConstantGradientWhateverItsSize) {
  // Bias correction makes m / sqrt(v) one at every update; it counts updates, not steps.
  for (const float gradient : {1e-3f, 1.0f, 500.0f}) {
    const Optimizer optimizer(Parse("adam {} learning_rate: 0.01"), {{.begin = 0, .end = 1}}, {100, 1}, 1);
    Arena arena(optimizer, 1, 1);
    arena.weights = {1}, arena.gradient = {gradient};
    for (uint64_t update = 0; update < 50; ++update) {
      optimizer.Update(3 * update, update, 1, arena.Whole());
      ASSERT_NEAR(arena.weights[0], 1 - 0.01 * static_cast<double>(update + 1), 1e-5);
    }
  }
}

TEST(AdamW, ShrinksWeightsApartFromTheGradient) {
  const Optimizer optimizer(Parse("adamw {} learning_rate: 0.1 weight_decay: 0.5"),
                            {{.begin = 0, .end = 2, .weight_decay = 0.5f}}, {100, 1}, 1);
  Arena arena(optimizer, 2, 1);
  arena.weights = {2, 2}, arena.gradient = {0, 3};
  optimizer.Update(0, 0, 1, arena.Whole());
  EXPECT_FLOAT_EQ(arena.weights[0], 1.9f);
  EXPECT_FLOAT_EQ(arena.weights[1], 1.8f);
}

TEST(Statistics, MoveTowardTheMeanOverLanesUnscaledByClippingAndTheirAverageIsTheirValue) {
  const Optimizer optimizer(
      Parse("sgd {} learning_rate: 0.1 ema_decay: 0.5"),
      {{.begin = 0, .end = 1, .statistic_momentum = 0.1f}, {.begin = 1, .end = 2, .statistic_momentum = 0.5f}}, {9, 1},
      4);
  Arena arena(optimizer, 2, 1);
  arena.weights = {1, 1}, arena.gradient = {12, 20};
  optimizer.Update(0, 0, 0.001f, arena.Whole());
  EXPECT_FLOAT_EQ(arena.weights[0], 1.2f);
  EXPECT_FLOAT_EQ(arena.weights[1], 3);
  EXPECT_EQ(arena.state[0], arena.weights);
}

TEST(ClipFactor, ScalesDownToTheNormAndNeverUp) {
  const Optimizer clipping(Parse("sgd {} learning_rate: 0.1 clip_norm: 2"), {}, {1, 1}, 1);
  EXPECT_TRUE(clipping.clips());
  EXPECT_EQ(clipping.ClipFactor(0), 1);
  EXPECT_EQ(clipping.ClipFactor(1.5), 1);
  EXPECT_FLOAT_EQ(clipping.ClipFactor(8), 0.25f);
  const Optimizer plain(Parse("sgd {} learning_rate: 0.1"), {}, {1, 1}, 1);
  EXPECT_FALSE(plain.clips());
  EXPECT_EQ(plain.ClipFactor(1e9), 1);
}

TEST(Optimizer, RejectsSegmentsThatOverlap) {
  EXPECT_THROW(
      Optimizer(Parse("sgd {} learning_rate: 0.1"), {{.begin = 0, .end = 5}, {.begin = 4, .end = 6}}, {1, 1}, 1),
      Error);
}

TEST(ChunkSumOfSquares, AddsInTheDocumentedOrderAtEveryLength) {
  for (size_t size = 0; size < 70; ++size) {
    const std::vector<float> chunk = GradientOfStep(size, static_cast<unsigned>(size));
    double sums[16] = {};
    for (size_t i = 0; i < size; ++i) sums[i % 16] += static_cast<double>(chunk[i]) * chunk[i];
    for (size_t half : {8, 4, 2, 1}) {
      for (size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    }
    EXPECT_EQ(ChunkSumOfSquares(chunk), sums[0]) << size;
  }
}

TEST(ChunkSumOfSquares, NeitherOverflowsNorLosesSmallValues) {
  for (const float value : {1e30f, 1e-30f}) {
    const std::vector<float> chunk(4096, value);
    EXPECT_NEAR(ChunkSumOfSquares(chunk) / (4096 * (static_cast<double>(value) * value)), 1, 1e-12);
  }
}

}  // namespace
}  // namespace lockstep::optim
