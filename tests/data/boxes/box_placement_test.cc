#include "data/boxes/box_placement.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/boxes/draw_picture.h"

namespace lockstep::data {
namespace {

BoxPlacement Make(const std::string& pictures, const std::string& augment, uint64_t seed = 1) {
  Pictures fit;
  Augment changes;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(pictures, &fit)) << pictures;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(augment, &changes)) << augment;
  return BoxPlacement(fit, changes, seed);
}

/// A black picture with a white rectangle, and its box.
struct Scene {
  int64_t height, width;
  BoxAnnotation box;

  Image pixels(const Placing& placing) const {
    Image whole;
    whole.Resize(height, width, 1);
    std::fill(whole.pixels.begin(), whole.pixels.end(), uint8_t{0});
    for (int64_t y = static_cast<int64_t>(box.y); y < static_cast<int64_t>(box.y + box.height); ++y)
      std::fill_n(whole.row(y) + static_cast<int64_t>(box.x), static_cast<int64_t>(box.width), uint8_t{255});
    ResizeScratch scratch;
    Image fitted;
    ResizeBox(whole, placing.box, placing.height, placing.width, scratch, fitted);
    return fitted;
  }
};

/// Where the white rectangle lies: its brightness along each axis has the rectangle's length as its sum, and its middle
/// as its mean, however blurred its edges are.
Rectangle WhiteOf(const std::vector<float>& image, int64_t height, int64_t width) {
  const auto extent = [&](int64_t count, int64_t others, int64_t step, int64_t other_step) {
    double sum = 0, moment = 0;
    for (int64_t i = 0; i < count; ++i) {
      double most = 0;
      for (int64_t j = 0; j < others; ++j)
        most = std::max<double>(most, image[static_cast<size_t>(i * step + j * other_step)]);
      sum += most;
      moment += most * (static_cast<double>(i) + 0.5);
    }
    return std::pair{moment / sum - sum / 2, moment / sum + sum / 2};
  };
  const auto [left, right] = extent(width, height, 1, width);
  const auto [top, bottom] = extent(height, width, width, 1);
  return {left, top, right, bottom};
}

TEST(BoxPlacement, BoxesMoveWithPixels) {
  const Scene scene{96, 128, {.x = 40, .y = 24, .width = 48, .height = 40}};
  std::vector<float> table(256);
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i) / 255;
  const std::vector<std::string> changes = {"", "flip: true", "flip_vertical: true",
                                            "flip: true flip_vertical: true zoom { min: 0.6 max: 1.6 move: 0.15 }",
                                            "random_resized_crop { min_area: 0.4 }"};
  for (const std::string fit : {"height: 48 width: 64", "height: 64 width: 64 fit: PAD",
                                "height: 40 width: 64 fit: STRETCH", "height: 60 width: 50 fit: CROP"}) {
    for (const std::string& change : changes) {
      const BoxPlacement placement = Make(fit + " channels: 1", change);
      const int64_t height = placement.fit().height(), width = placement.fit().width();
      int seen = 0;
      for (uint64_t id = 0; id < 20; ++id) {
        const AnnotatedPicture picture{scene.height, scene.width, std::span(&scene.box, 1)};
        const std::vector<Tile> tiles = placement.Tiles(std::span(&picture, 1), 3, id, true);
        const std::vector<PlacedBox> boxes = placement.Boxes(std::span(&picture, 1), tiles, true);
        if (boxes.empty()) continue;
        std::vector<float> image(static_cast<size_t>(height * width));
        DrawScratch scratch;
        DrawPicture(scene.pixels(tiles[0].placing), tiles[0], table, height, width, scratch, image.data());
        const Rectangle white = WhiteOf(image, height, width);
        const std::string what = fit + " " + change;
        // What a blurred edge loses at the edge of the input is at most a pixel.
        EXPECT_NEAR(boxes[0].left, white.left, 0.75) << what << id;
        EXPECT_NEAR(boxes[0].top, white.top, 0.75) << what << id;
        EXPECT_NEAR(boxes[0].right, white.right, 0.75) << what << id;
        EXPECT_NEAR(boxes[0].bottom, white.bottom, 0.75) << what << id;
        ++seen;
      }
      EXPECT_GT(seen, 5) << fit << " " << change;
    }
  }
}

TEST(BoxPlacement, AMosaicHasEachPictureInItsCorner) {
  const BoxPlacement placement = Make("height: 64 width: 64", "mosaic: 1");
  const BoxAnnotation box{.x = 0, .y = 0, .width = 64, .height = 64};
  const std::vector<AnnotatedPicture> pictures(4, {64, 64, std::span(&box, 1)});
  for (uint64_t id = 0; id < 20; ++id) {
    const std::vector<Tile> tiles = placement.Tiles(pictures, 0, id, true);
    double area = 0;
    for (const Tile& tile : tiles) area += tile.seen.area();
    EXPECT_DOUBLE_EQ(area, 64 * 64);
    EXPECT_EQ(tiles[0].seen.right, tiles[1].seen.left);
    EXPECT_EQ(tiles[0].seen.bottom, tiles[2].seen.top);
    EXPECT_EQ(tiles[0].seen.left, 0);
    EXPECT_EQ(tiles[3].seen.right, 64);
    for (const PlacedBox& placed : placement.Boxes(pictures, tiles, true)) {
      EXPECT_GE(placed.left, 0);
      EXPECT_LE(placed.right, 64);
    }
  }
}

TEST(BoxPlacement, BoxesOfAMosaicLieAroundItsPixels) {
  const BoxPlacement placement = Make("height: 64 width: 80 channels: 1 fit: PAD",
                                      "mosaic: 1 flip: true zoom { min: 0.7 max: 1.3 move: 0.1 min_visible: 0.001 }");
  const std::vector<Scene> scenes = {{64, 80, {.x = 20, .y = 12, .width = 44, .height = 40}},
                                     {96, 80, {.x = 10, .y = 20, .width = 50, .height = 60}},
                                     {64, 128, {.x = 40, .y = 10, .width = 48, .height = 44}},
                                     {128, 160, {.x = 30, .y = 30, .width = 100, .height = 70}}};
  std::vector<AnnotatedPicture> pictures;
  for (const Scene& scene : scenes) pictures.push_back({scene.height, scene.width, std::span(&scene.box, 1)});
  std::vector<float> table(256);
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i) / 255;
  int compared = 0;
  for (uint64_t id = 0; id < 30; ++id) {
    const std::vector<Tile> tiles = placement.Tiles(pictures, 1, id, true);
    std::vector<float> together(64 * 80), sum(64 * 80);
    DrawScratch scratch;
    for (size_t i = 0; i < tiles.size(); ++i) {
      const Image pixels = scenes[i].pixels(tiles[i].placing);
      DrawPicture(pixels, tiles[i], table, 64, 80, scratch, together.data());
      std::vector<float> alone(64 * 80);
      DrawPicture(pixels, tiles[i], table, 64, 80, scratch, alone.data());
      for (size_t j = 0; j < sum.size(); ++j) sum[j] += alone[j];
      const std::vector<PlacedBox> box =
          placement.Boxes(std::span(pictures).subspan(i, 1), std::span(tiles).subspan(i, 1), true);
      if (box.empty() || box[0].right - box[0].left < 4 || box[0].bottom - box[0].top < 4) continue;
      const Rectangle white = WhiteOf(alone, 64, 80);
      EXPECT_NEAR(box[0].left, white.left, 0.75) << id << " " << i;
      EXPECT_NEAR(box[0].top, white.top, 0.75) << id << " " << i;
      EXPECT_NEAR(box[0].right, white.right, 0.75) << id << " " << i;
      EXPECT_NEAR(box[0].bottom, white.bottom, 0.75) << id << " " << i;
      ++compared;
    }
    EXPECT_EQ(together, sum) << "each pixel is of one picture";
  }
  EXPECT_GT(compared, 50);
}

TEST(BoxPlacement, LeavesOutWhatIsHardlySeen) {
  const BoxPlacement placement = Make("height: 50 width: 50 fit: CROP crop_share: 1", "");
  // The middle of a picture of 50 x 100 is what lies from 25 to 75.
  const std::vector<BoxAnnotation> boxes = {{.x = 5, .y = 0, .width = 30, .height = 10},   // a third is seen
                                            {.x = 10, .y = 0, .width = 30, .height = 10},  // half
                                            {.x = 40, .y = 0, .width = 0, .height = 10},
                                            {.x = 40, .y = 5, .width = 10, .height = 10, .category = 0, .crowd = true}};
  const AnnotatedPicture picture{50, 100, boxes};
  const std::vector<Tile> tiles = placement.Tiles(std::span(&picture, 1), 0, 0, false);
  const std::vector<PlacedBox> placed = placement.Boxes(std::span(&picture, 1), tiles, false);
  ASSERT_EQ(placed.size(), 1u);
  EXPECT_EQ(placed[0].left, 0);
  EXPECT_EQ(placed[0].right, 15);
}

TEST(BoxPlacement, RefusesChangesThatBoxesCannotFollow) {
  for (const std::string change : {"shift: 2", "rand_augment {}", "mixup {}", "cutmix {}", "zoom { min: 2 max: 1 }",
                                   "zoom { move: 1 }", "channel_gain: 1", "mosaic: 1.5", "zoom { min_visible: 2 }"})
    EXPECT_THROW(Make("height: 32", change), Error) << change;
}

}  // namespace
}  // namespace lockstep::data
