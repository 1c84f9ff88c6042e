#include "trainer/infer/find_boxes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace lockstep::infer {
namespace {

/// Maps of 4 x 5 cells of 8 pixels and two categories, with nothing on them.
struct Maps {
  std::vector<float> centers = std::vector<float>(4 * 5 * 2, -10.0f), sides = std::vector<float>(4 * 5 * 4, 0.0f);

  void Put(int row, int column, int category, float logit, std::vector<float> distances) {
    centers[static_cast<size_t>((row * 5 + column) * 2 + category)] = logit;
    for (size_t i = 0; i < 4; ++i) sides[static_cast<size_t>((row * 5 + column) * 4) + i] = std::log(distances[i]);
  }
  std::vector<FoundBox> Find(const FindOptions& options = {}) const {
    return FindBoxes({centers, sides, 4, 5, 2, 8}, options);
  }
};

TEST(FindBoxes, MakesABoxAroundACellsMiddle) {
  Maps maps;
  maps.Put(1, 2, 1, 2, {1.5, 0.5, 2, 1});
  const std::vector<FoundBox> found = maps.Find();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].category, 1);
  EXPECT_NEAR(found[0].score, 1 / (1 + std::exp(-2.0)), 1e-12);
  EXPECT_NEAR(found[0].left, 8 * (2.5 - 1.5), 1e-5);
  EXPECT_NEAR(found[0].top, 8 * (1.5 - 0.5), 1e-5);
  EXPECT_NEAR(found[0].right, 8 * (2.5 + 2), 1e-5);
  EXPECT_NEAR(found[0].bottom, 8 * (1.5 + 1), 1e-5);
}

TEST(FindBoxes, TakesTheGreatestOfNeighbours) {
  Maps maps;
  maps.Put(1, 1, 0, 1, {0.2, 0.2, 0.2, 0.2});
  maps.Put(1, 2, 0, 2, {0.2, 0.2, 0.2, 0.2});
  maps.Put(2, 3, 0, 1.5, {0.2, 0.2, 0.2, 0.2});
  maps.Put(1, 1, 1, 1, {0.2, 0.2, 0.2, 0.2});  // of another category
  EXPECT_EQ(maps.Find().size(), 2u);
}

TEST(FindBoxes, LeavesOutWhatOverlapsABetterOneOfItsCategory) {
  Maps maps;
  maps.Put(0, 0, 0, 3, {0.5, 0.5, 3, 3});
  maps.Put(2, 2, 0, 2, {2, 2, 1, 1});  // nearly the same box
  EXPECT_EQ(maps.Find().size(), 1u);
  EXPECT_EQ(maps.Find({.overlap = 0.95}).size(), 2u);
  maps.Put(3, 3, 1, 2, {3.5, 3.5, 0.2, 0.2});  // of another category
  EXPECT_EQ(maps.Find().size(), 2u);
}

TEST(FindBoxes, AreTheBestOnesAndNotTooFaint) {
  Maps maps;
  maps.Put(0, 0, 0, 1, {0.1, 0.1, 0.1, 0.1});
  maps.Put(0, 4, 0, 3, {0.1, 0.1, 0.1, 0.1});
  maps.Put(3, 0, 1, 2, {0.1, 0.1, 0.1, 0.1});
  const std::vector<FoundBox> best = maps.Find({.most = 2});
  ASSERT_EQ(best.size(), 2u);
  EXPECT_GT(best[0].score, best[1].score);
  EXPECT_EQ(best[1].category, 1);
  EXPECT_EQ(maps.Find({.least = 0.9}).size(), 1u);
}

}  // namespace
}  // namespace lockstep::infer
