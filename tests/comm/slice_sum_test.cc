#include "comm/slice_sum.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

namespace lockstep::comm {
namespace {

// The definition, one element at a time.
float TreeSum(int begin, int end, const std::vector<std::vector<float>>& lanes, size_t i) {
  if (end - begin == 1) return lanes[static_cast<size_t>(begin)][i];
  int half = 1;
  while (2 * half < end - begin) half *= 2;
  return TreeSum(begin, begin + half, lanes, i) + TreeSum(begin + half, end, lanes, i);
}

// bf16 sums, by the definition: rounded in double to 8 bits, ties to even.
float Rounded(float value) {
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent = 0;
  const double mantissa = std::frexp(static_cast<double>(value), &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(mantissa * 256), exponent - 8));
}
float RoundedTreeSum(int begin, int end, const std::vector<std::vector<float>>& lanes, size_t i) {
  if (end - begin == 1) return Rounded(lanes[static_cast<size_t>(begin)][i]);
  int half = 1;
  while (2 * half < end - begin) half *= 2;
  return Rounded(RoundedTreeSum(begin, begin + half, lanes, i) + RoundedTreeSum(begin + half, end, lanes, i));
}

class SliceSumTest : public testing::TestWithParam<int> {
 protected:
  static constexpr size_t kCount = 3001;

  void SetUp() override {
    std::mt19937 random(static_cast<unsigned>(GetParam()));
    std::normal_distribution<float> normal;
    for (int lane = 0; lane < GetParam(); ++lane) {
      std::vector<float>& values = lanes_.emplace_back(kCount);
      for (float& value : values) value = std::ldexp(normal(random), static_cast<int>(random() % 12));
      nodes_.push_back({lane, lane + 1});
      addresses_.push_back(values.data());
    }
    for (size_t i = 0; i < kCount; ++i) expected_.push_back(TreeSum(0, GetParam(), lanes_, i));
  }
  SliceSum MakeSum() const { return SliceSum(addresses_, LaneSumOrder(GetParam(), {0, GetParam()}, nodes_)); }
  bool AsExpected(const std::vector<float>& sum) const {
    return std::memcmp(sum.data(), expected_.data(), kCount * sizeof(float)) == 0;
  }

  std::vector<std::vector<float>> lanes_;
  std::vector<LaneRange> nodes_;
  std::vector<const float*> addresses_;
  std::vector<float> expected_;
};

TEST_P(SliceSumTest, HasTheBitsOfTheLaneTreeUnderEveryCut) {
  const SliceSum sum = MakeSum();
  for (size_t cut : {kCount, size_t{1}, size_t{7}, size_t{512}, size_t{513}, size_t{2000}}) {
    std::vector<float> out(kCount);
    for (size_t begin = 0; begin < kCount; begin += cut) {
      sum.Evaluate(static_cast<int64_t>(begin), std::span(out).subspan(begin, std::min(cut, kCount - begin)));
    }
    EXPECT_TRUE(AsExpected(out)) << "cut " << cut;
  }
}

TEST_P(SliceSumTest, DoesNotDependOnTheOrderOfPieces) {
  std::reverse(nodes_.begin(), nodes_.end());
  std::reverse(addresses_.begin(), addresses_.end());
  std::vector<float> out(kCount);
  MakeSum().Evaluate(0, out);
  EXPECT_TRUE(AsExpected(out));
}

TEST_P(SliceSumTest, RoundsEverySumOnceWhereAddendsAreBf16) {
  std::vector<std::vector<uint16_t>> held;
  std::vector<const std::byte*> addresses;
  for (const std::vector<float>& lane : lanes_) {
    std::vector<uint16_t>& bits = held.emplace_back();
    for (const float value : lane) bits.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(Rounded(value)) >> 16));
  }
  for (const std::vector<uint16_t>& bits : held) addresses.push_back(reinterpret_cast<const std::byte*>(bits.data()));
  const SliceSum sum(addresses, LaneSumOrder(GetParam(), {0, GetParam()}, nodes_), DType::kBF16);
  std::vector<float> out(kCount);
  for (size_t begin = 0; begin < kCount; begin += 700)
    sum.Evaluate(static_cast<int64_t>(begin), std::span(out).subspan(begin, std::min<size_t>(700, kCount - begin)));
  std::vector<uint16_t> folded(kCount);
  sum.Fold(std::as_writable_bytes(std::span(folded)));
  for (size_t i = 0; i < kCount; ++i) {
    const auto expected = std::bit_cast<uint32_t>(RoundedTreeSum(0, GetParam(), lanes_, i));
    ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), expected) << i;
    ASSERT_EQ(uint32_t{folded[i]} << 16, expected) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Lanes, SliceSumTest, testing::Values(1, 2, 3, 4, 5, 7, 8, 13, 64));

TEST(SliceSumTest, OnePieceMayBeSummedIntoItself) {
  std::vector<float> values = {1, 2, 3};
  SliceSum(std::vector<const float*>{values.data()}, {{0}}).Evaluate(0, values);
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3}));
}

}  // namespace
}  // namespace lockstep::comm
