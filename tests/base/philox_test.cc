#include "base/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace lockstep {
namespace {

// "philox4x32 10" in kat_vectors of Random123 1.14.0, which accompanies the paper.
TEST(Philox, MatchesTheKnownAnswersOfRandom123) {
  struct Answer {
    std::array<uint32_t, 4> counter;
    std::array<uint32_t, 2> key;
    std::array<uint32_t, 4> expected;
  };
  const Answer answers[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Answer& a : answers) {
    const Philox4 got = Philox({{a.counter[0], a.counter[1], a.counter[2], a.counter[3]}}, a.key[0], a.key[1]);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(got.x[i], a.expected[i]);
  }
}

// The first outputs of SplitMix64 with seed 1234567, as its published implementations give them.
TEST(Philox, Mix64IsTheFinalizerOfSplitMix64) {
  uint64_t state = 1234567;
  for (uint64_t expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u}) {
    state += 0x9E3779B97F4A7C15u;
    EXPECT_EQ(Mix64(state), expected);
  }
}

TEST(RandomStream, ElementsAreThoseOfTheirGroup) {
  const RandomStream stream = {.seed = 7, .step = 3, .layer = 2, .sample = 11};
  for (uint32_t element = 0; element < 64; ++element) {
    EXPECT_EQ(stream.Bits(element), stream.Group(element / 4).x[element % 4]);
    EXPECT_EQ(stream.Uniform(element) * 0x1p24f, static_cast<float>(stream.Bits(element) >> 8));
  }
}

TEST(RandomStream, EveryPartOfTheKeyGivesAnotherStream) {
  std::set<uint64_t> seen;
  int streams = 0;
  const auto add = [&](RandomStream stream) {
    const Philox4 group = stream.Group(0);
    seen.insert(uint64_t{group.x[0]} << 32 | group.x[1]);
    ++streams;
  };
  for (int bit = 0; bit < 64; ++bit) add({.seed = uint64_t{1} << bit, .step = 0, .layer = 0, .sample = 0});
  for (int bit = 0; bit < 48; ++bit) add({.seed = 0, .step = uint64_t{1} << bit, .layer = 0, .sample = 0});
  for (int bit = 0; bit < 32; ++bit) add({.seed = 0, .step = 0, .layer = 1u << bit, .sample = 0});
  for (int bit = 0; bit < 48; ++bit) add({.seed = 0, .step = 0, .layer = 0, .sample = uint64_t{1} << bit});
  for (uint32_t bit = 0; bit < 30; ++bit) {
    const Philox4 group = RandomStream{0, 0, 0, 0}.Group(1u << bit);
    seen.insert(uint64_t{group.x[0]} << 32 | group.x[1]);
    ++streams;
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(streams));
}

TEST(RandomStream, UniformNumbersFillTheUnitIntervalEvenly) {
  const RandomStream stream = {.seed = 1, .step = 1, .layer = 1, .sample = 1};
  constexpr int kNumbers = 1 << 16, kBins = 64;
  std::array<int, kBins> bins{};
  for (uint32_t element = 0; element < kNumbers; ++element) {
    const float u = stream.Uniform(element);
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    ++bins[static_cast<size_t>(u * kBins)];
  }
  double chi_squared = 0;
  for (int count : bins) chi_squared += std::pow(count - kNumbers / kBins, 2) / (kNumbers / kBins);
  EXPECT_LT(chi_squared, 63 + 5 * std::sqrt(2 * 63.0));  // five standard deviations above the mean
}

TEST(NormalFromBits, IsFiniteAtTheEndsAndHasTheMomentsOfTheNormalDistribution) {
  for (uint32_t a : {0u, 1u, 0xffffffffu}) {
    for (uint32_t b : {0u, 0x80000000u, 0xffffffffu}) EXPECT_TRUE(std::isfinite(NormalFromBits(a, b)));
  }
  const RandomStream stream = {.seed = 2, .step = 0, .layer = 0, .sample = 0};
  constexpr int kNumbers = 1 << 16;
  double sum = 0, sum2 = 0, sum4 = 0;
  int below_one = 0;
  for (uint32_t i = 0; i < kNumbers; ++i) {
    const double x = NormalFromBits(stream.Bits(2 * i), stream.Bits(2 * i + 1));
    sum += x;
    sum2 += x * x;
    sum4 += x * x * x * x;
    below_one += x < 1;
  }
  EXPECT_NEAR(sum / kNumbers, 0, 5 / std::sqrt(kNumbers));
  EXPECT_NEAR(sum2 / kNumbers, 1, 5 * std::sqrt(2.0 / kNumbers));
  EXPECT_NEAR(sum4 / kNumbers, 3, 5 * std::sqrt(96.0 / kNumbers));
  EXPECT_NEAR(static_cast<double>(below_one) / kNumbers, 0.8413, 5 * 0.366 / std::sqrt(kNumbers));
}

}  // namespace
}  // namespace lockstep
