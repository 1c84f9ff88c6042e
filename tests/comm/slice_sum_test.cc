#include "comm/slice_sum.h"

#include <gtest/gtest.h>

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

INSTANTIATE_TEST_SUITE_P(Lanes, SliceSumTest, testing::Values(1, 2, 3, 4, 5, 7, 8, 13, 64));

TEST(SliceSumTest, OnePieceMayBeSummedIntoItself) {
  std::vector<float> values = {1, 2, 3};
  SliceSum({values.data()}, {{0}}).Evaluate(0, values);
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3}));
}

}  // namespace
}  // namespace lockstep::comm
