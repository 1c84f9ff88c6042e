#include "data/boxes/center_targets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/philox.h"

namespace lockstep::data {
namespace {

struct Targets {
  std::vector<float> heat, sides, inside;
};

Targets Fill(const std::vector<PlacedBox>& boxes, const CellGrid& grid) {
  const auto cells = static_cast<size_t>(grid.height * grid.width);
  Targets targets{std::vector<float>(cells * static_cast<size_t>(grid.categories), -9),
                  std::vector<float>(cells * 4, -9), std::vector<float>(cells, -9)};
  FillCenterTargets(boxes, grid, {targets.heat.data(), targets.sides.data(), targets.inside.data()});
  return targets;
}

TEST(CellGrid, ReachesOverTheEdgeWhereTheInputIsNoMultiple) {
  const CellGrid grid = CellGrid::Of(241, 320, 8, 3);
  EXPECT_EQ(grid.height, 31);
  EXPECT_EQ(grid.width, 40);
}

TEST(CenterTargets, OfOneBoxAreWorkedOutByHand) {
  const CellGrid grid = CellGrid::Of(32, 40, 8, 2);
  // From 8 to 32 and from 4 to 20 pixels: 1 to 4 and 0.5 to 2.5 cells, the centre in column 2 and row 1.
  const Targets targets = Fill({{8, 4, 32, 20, 1}}, grid);
  const auto heat = [&](int64_t row, int64_t column, int64_t category) {
    return targets.heat[static_cast<size_t>((row * grid.width + column) * 2 + category)];
  };
  EXPECT_EQ(heat(1, 2, 1), 1.0f);
  EXPECT_FLOAT_EQ(heat(1, 3, 1), static_cast<float>(std::exp(-0.5 * 2 * 2)));  // 1 / (3 / 6) deviations
  EXPECT_FLOAT_EQ(heat(2, 2, 1), static_cast<float>(std::exp(-0.5 * 3 * 3)));  // 1 / (2 / 6)
  EXPECT_FLOAT_EQ(heat(0, 1, 1), static_cast<float>(std::exp(-0.5 * (2 * 2 + 3 * 3))));
  EXPECT_EQ(std::count_if(targets.heat.begin(), targets.heat.end(), [](float x) { return x == 1; }), 1);
  for (int64_t row = 0; row < 4; ++row)
    for (int64_t column = 0; column < 5; ++column) EXPECT_EQ(heat(row, column, 0), 0.0f);
  // Middles of columns 1 to 3 and of row 1 lie in the box; those of rows 0 and 2 lie on its edges.
  for (int64_t row = 0; row < 4; ++row)
    for (int64_t column = 0; column < 5; ++column) {
      const auto cell = static_cast<size_t>(row * grid.width + column);
      const bool inside = column >= 1 && column <= 3 && row == 1;
      EXPECT_EQ(targets.inside[cell], inside ? 1 : 0);
      if (!inside) continue;
      EXPECT_EQ(targets.sides[cell * 4], static_cast<float>(column) + 0.5f - 1);
      EXPECT_EQ(targets.sides[cell * 4 + 1], 1.0f);
      EXPECT_EQ(targets.sides[cell * 4 + 2], 4 - static_cast<float>(column) - 0.5f);
      EXPECT_EQ(targets.sides[cell * 4 + 3], 1.0f);
    }
}

TEST(CenterTargets, TheSmallerOfTwoBoxesHasTheCellsThatBothWant) {
  const CellGrid grid = CellGrid::Of(64, 64, 8, 1);
  const PlacedBox large{0, 0, 64, 64, 0}, small{24, 24, 44, 44, 0};
  for (const auto& boxes : {std::vector{large, small}, std::vector{small, large}}) {
    const Targets targets = Fill(boxes, grid);
    EXPECT_EQ(targets.sides[(4 * 8 + 4) * 4], 4.5f - 3);
  }
}

TEST(CenterTargets, AreCountedWithoutBeingMade) {
  for (uint64_t trial = 0; trial < 200; ++trial) {
    const RandomStream random{7, 0, 1, trial};
    const CellGrid grid = CellGrid::Of(61, 83, 8, 3);
    std::vector<PlacedBox> boxes;
    const uint32_t count = random.Bits(0) % 12;
    for (uint32_t i = 0; i < count; ++i) {
      const auto number = [&](uint32_t element) { return random.Uniform(8 * i + element + 4); };
      const float left = 80 * number(0), top = 58 * number(1);
      boxes.push_back({left, top, left + 0.1f + (82.9f - left) * number(2), top + 0.1f + (60.9f - top) * number(3),
                       static_cast<int32_t>(3 * number(4))});
    }
    const Targets targets = Fill(boxes, grid);
    const LossCounts counts = CountCenterTargets(boxes, grid);
    EXPECT_EQ(counts[0], static_cast<uint64_t>(std::count(targets.heat.begin(), targets.heat.end(), 1.0f)));
    EXPECT_EQ(counts[1], static_cast<uint64_t>(std::count(targets.inside.begin(), targets.inside.end(), 1.0f)));
  }
}

}  // namespace
}  // namespace lockstep::data
