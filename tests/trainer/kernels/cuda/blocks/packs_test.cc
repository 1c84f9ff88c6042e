#include "trainer/kernels/cuda/blocks/packs.h"

#include <gtest/gtest.h>

#include "base/device.h"
#include "trainer/kernels/cuda/blocks/columns.h"
#include "trainer/kernels/cuda/blocks/row_teams.h"

namespace lockstep::cuda {
namespace {

TEST(PacksTest, DividesSmallAndLargeNumbersAlike) {
  for (const int64_t size : {int64_t{1}, int64_t{7}, int64_t{1} << 31, (int64_t{1} << 33) + 5}) {
    for (const int64_t index : {int64_t{0}, int64_t{6}, (int64_t{1} << 32) - 1, int64_t{1} << 32, int64_t{1} << 45}) {
      const Quotient result = Divide(index, size);
      EXPECT_EQ(result.quotient, index / size) << index << " / " << size;
      EXPECT_EQ(result.remainder, index % size) << index << " / " << size;
    }
  }
}

TEST(PacksTest, StoresRoundToTheNearestBf16) {
  const float values[8] = {1, -2.5f, 1 + 0x1p-9f, 1 + 0x1p-8f, 1 + 3 * 0x1p-8f, 0, 3e38f, -1e-30f};
  alignas(16) BFloat16 stored[8];
  StorePack<8>(values, stored);
  float loaded[8];
  LoadPack<8>(stored, loaded);
  const float expected[5] = {1, -2.5f, 1, 1, 1 + 0x1p-6f};  // halves go to even
  for (int i = 0; i < 5; ++i) EXPECT_EQ(loaded[i], expected[i]) << i;
  for (int i = 5; i < 8; ++i) EXPECT_NEAR(loaded[i], values[i], std::abs(values[i]) * 0x1p-8f) << i;
}

TEST(PacksTest, PacksOfBf16HaveTheBitsOfSingleElements) {
  for (uint32_t upper = 0; upper <= 0xFFFF; upper += 4) {
    float values[8];
    for (uint32_t i = 0; i < 8; ++i)
      values[i] = __builtin_bit_cast(float, (upper + i / 2) << 16 | (i % 2 == 0 ? 0x8000u : 0x7FFFu));
    alignas(16) BFloat16 stored[8];
    StorePack<8>(values, stored);
    for (int i = 0; i < 8; ++i) ASSERT_EQ(stored[i].bits, BFloat16::From(values[i]).bits) << upper << " " << i;
  }
}

TEST(PacksTest, PacksAreSixteenBytesWhereAllSizesFit) {
  const auto pack = [](int n) { return n; };
  EXPECT_EQ(WithPack<float>({8, 0, 12}, pack), 4);
  EXPECT_EQ(WithPack<float>({8, 2}, pack), 1);
  EXPECT_EQ(WithPack<BFloat16>({16, 64}, pack), 8);
  EXPECT_EQ(WithPack<BFloat16>({12}, pack), 1);
}

/// Every element of the matrix belongs to one thread of one block.
void ExpectEachElementOnce(const ColumnPlan& plan) {
  std::vector<int> times(static_cast<size_t>(plan.rows * plan.columns));
  for (int64_t block = 0; block < plan.blocks(); ++block) {
    for (int t = 0; t < kColumnThreads; ++t) {
      const ColumnPlace place(plan, block, t);
      if (place.column >= plan.columns) continue;
      for (int64_t row = place.row; row < place.end; row += plan.down()) {
        for (int i = 0; i < plan.pack; ++i) ++times[static_cast<size_t>(row * plan.columns + place.column + i)];
      }
    }
  }
  for (const int n : times) ASSERT_EQ(n, 1) << plan.rows << " x " << plan.columns;
}

TEST(ColumnPlanTest, TilesCoverEachElementOnce) {
  for (const auto& [rows, columns, pack] :
       {std::tuple{1, 1, 1}, {7, 3, 1}, {1000, 8, 4}, {333, 264, 8}, {70001, 2, 1}, {65, 129, 1}}) {
    ExpectEachElementOnce(PlanColumnReduction(rows, columns, pack));
    ExpectEachElementOnce(PlanColumnMap(rows, columns, pack));
  }
}

TEST(ColumnPlanTest, LargeReductionsFillTheCardAndSmallOnesABlock) {
  // A ResNet-50's first batch norm, 256 images of 112 x 112, in bf16; its last; and a small network's.
  EXPECT_EQ(PlanColumnReduction(256 * 112 * 112, 64, 8).blocks(), 512);
  const int64_t last = PlanColumnReduction(256 * 7 * 7, 2048, 8).blocks();
  EXPECT_GE(last, 512);
  EXPECT_LE(last, 1024);
  EXPECT_EQ(PlanColumnReduction(32, 10, 1).blocks(), 1);
}

TEST(RowPlanTest, TeamsGrowWithRows) {
  EXPECT_EQ(PlanRows(128, 10, 1).team, 4);
  EXPECT_EQ(PlanRows(128, 10, 1).blocks(), 2);
  EXPECT_EQ(PlanRows(128, 768, 8).team, 32);
  EXPECT_EQ(PlanRows(128, 50257, 1).team, kRowThreads);
  EXPECT_EQ(PlanRows(128, 50257, 1).blocks(), 128);
}

}  // namespace
}  // namespace lockstep::cuda
