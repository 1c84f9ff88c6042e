#include "data/boxes/box_placement.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

constexpr double kLeast = 0.8, kMost = 1.25, kMinVisible = 0.4;
constexpr uint32_t kMosaicPictures = 4;

double Or(double value, double otherwise) { return value == 0 ? otherwise : value; }

/// Uniform in [least, most).
double Between(double least, double most, uint32_t bits) { return least + (most - least) * (bits * 0x1p-32); }

void Require(bool good, const char* field, std::string message, std::string hint) {
  if (!good) throw Error(ErrorKind::kUsage, std::move(message), field, std::move(hint));
}

void RequireForBoxes(const Augment& augment) {
  for (const auto& [given, field] : {std::pair{augment.shift() > 0, "data.augment.shift"},
                                     {augment.has_rand_augment(), "data.augment.rand_augment"},
                                     {augment.has_mixup(), "data.augment.mixup"},
                                     {augment.has_cutmix(), "data.augment.cutmix"},
                                     {augment.has_speed(), "data.augment.speed"},
                                     {augment.has_mask_bands(), "data.augment.mask_bands"},
                                     {augment.has_mask_frames(), "data.augment.mask_frames"},
                                     {augment.noise() != 0, "data.augment.noise"}})
    Require(!given, field, "it is not for pictures with boxes",
            "pictures with boxes have flip, flip_vertical, zoom, random_resized_crop, mosaic, channel_gain and "
            "color_jitter");
}

void CheckZoom(const Zoom& zoom) {
  const double least = Or(zoom.min(), kLeast), most = Or(zoom.max(), kMost);
  constexpr double kFar = 16;
  Require(least >= 1 / kFar && least <= most && most <= kFar, "data.augment.zoom",
          fmt::format("from {:g} to {:g} is no range of factors", least, most), "1/16 <= min <= max <= 16");
  Require(zoom.move() >= 0 && zoom.move() < 1, "data.augment.zoom.move",
          fmt::format("{:g} of a picture would move it out of sight", zoom.move()), "0 to less than 1");
  Require(zoom.min_visible() >= 0 && zoom.min_visible() <= 1, "data.augment.zoom.min_visible",
          fmt::format("{:g} is no share", zoom.min_visible()), "0 to 1");
}

const RandomResizedCrop* CropOf(const Augment& augment) {
  return augment.has_random_resized_crop() ? &augment.random_resized_crop() : nullptr;
}

/// Larger or smaller by `factor` about the middle of `length`, after a move by `move` of it.
AxisMap AboutMiddle(double length, double factor, double move) {
  const double middle = length / 2;
  return {factor, middle - factor * (middle + move * length)};
}

}  // namespace

BoxPlacement::BoxPlacement(const Pictures& pictures, const Augment& augment, uint64_t seed)
    : fit_(pictures, CropOf(augment)), augment_(augment), seed_(seed) {
  RequireForBoxes(augment);
  CheckZoom(augment.zoom());
  Require(augment.channel_gain() >= 0 && augment.channel_gain() < 1, "data.augment.channel_gain",
          fmt::format("{:g} is not in [0, 1)", augment.channel_gain()), "0.1 is usual");
  Require(augment.mosaic() >= 0 && augment.mosaic() <= 1, "data.augment.mosaic",
          fmt::format("{:g} is no probability", augment.mosaic()), "0 to 1");
}

PixelMap BoxPlacement::Change(uint64_t epoch, uint64_t id) const {
  const RandomStream stream{seed_, epoch, kPlaceKey, id};
  const auto mirror = [&](bool wanted, uint32_t element) { return wanted && stream.Bits(element) >> 31 != 0 ? -1 : 1; };
  double factor = 1, move_x = 0, move_y = 0;
  if (augment_.has_zoom()) {
    const Zoom& zoom = augment_.zoom();
    factor = std::exp(Between(std::log(Or(zoom.min(), kLeast)), std::log(Or(zoom.max(), kMost)), stream.Bits(2)));
    move_x = Between(-zoom.move(), zoom.move(), stream.Bits(3));
    move_y = Between(-zoom.move(), zoom.move(), stream.Bits(4));
  }
  return {AboutMiddle(static_cast<double>(fit_.width()), mirror(augment_.flip(), 0) * factor, move_x),
          AboutMiddle(static_cast<double>(fit_.height()), mirror(augment_.flip_vertical(), 1) * factor, move_y)};
}

std::vector<Tile> BoxPlacement::Tiles(std::span<const AnnotatedPicture> pictures, uint64_t epoch, uint64_t id,
                                      bool augment) const {
  const auto width = static_cast<double>(fit_.width()), height = static_cast<double>(fit_.height());
  const Rectangle canvas{0, 0, width, height};
  const PixelMap change = augment ? Change(epoch, id) : PixelMap{};
  const RandomStream stream{seed_, epoch, kPlaceKey, id};
  const bool mosaic = pictures.size() == kMosaicPictures;
  CHECK(mosaic || pictures.size() == 1, "a sample of {} pictures", pictures.size());
  const double meet_x = width * Between(0.25, 0.75, stream.Bits(8));
  const double meet_y = height * Between(0.25, 0.75, stream.Bits(9));
  std::vector<Tile> tiles;
  for (size_t i = 0; i < pictures.size(); ++i) {
    Tile tile;
    tile.placing = fit_.Place(pictures[i].height, pictures[i].width, {seed_, epoch, kCropKey, id}, augment && !mosaic);
    tile.map = MapOf(tile.placing, fit_.height(), fit_.width());
    tile.seen = Moved(tile.placing.box.width() > 0 ? Rectangle{tile.placing.box.left, tile.placing.box.top,
                                                               tile.placing.box.right, tile.placing.box.bottom}
                                                   : canvas,
                      tile.map);
    if (mosaic) {
      const bool right = i % 2 == 1, below = i / 2 == 1;
      const PixelMap to_corner{{1, right ? meet_x : meet_x - width}, {1, below ? meet_y : meet_y - height}};
      tile.map = tile.map.Then(to_corner);
      tile.seen = Cut(Moved(tile.seen, to_corner),
                      {right ? meet_x : 0, below ? meet_y : 0, right ? width : meet_x, below ? height : meet_y});
    }
    tile.map = tile.map.Then(change);
    tile.seen = Cut(Moved(tile.seen, change), canvas);
    tiles.push_back(tile);
  }
  return tiles;
}

std::vector<PlacedBox> BoxPlacement::Boxes(std::span<const AnnotatedPicture> pictures, std::span<const Tile> tiles,
                                           bool augment) const {
  const bool by_middle = augment && augment_.has_random_resized_crop() && pictures.size() == 1;
  const double least = Or(augment_.zoom().min_visible(), kMinVisible);
  std::vector<PlacedBox> placed;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Rectangle& seen = tiles[i].seen;
    for (const BoxAnnotation& box : pictures[i].boxes) {
      if (box.crowd) continue;
      const Rectangle whole = Moved({box.x, box.y, box.x + box.width, box.y + box.height}, tiles[i].map);
      const Rectangle cut = Cut(whole, seen);
      const double x = (whole.left + whole.right) / 2, y = (whole.top + whole.bottom) / 2;
      const bool kept = by_middle ? x >= seen.left && x < seen.right && y >= seen.top && y < seen.bottom
                                  : cut.area() >= least * whole.area();
      const PlacedBox result{static_cast<float>(cut.left), static_cast<float>(cut.top), static_cast<float>(cut.right),
                             static_cast<float>(cut.bottom), box.category};
      if (kept && result.right > result.left && result.bottom > result.top) placed.push_back(result);
    }
  }
  return placed;
}

std::vector<float> BoxPlacement::Gains(uint64_t epoch, uint64_t id, bool augment) const {
  std::vector<float> gains(static_cast<size_t>(fit_.channels()), 1.0f);
  if (!augment || augment_.channel_gain() == 0) return gains;
  const RandomStream stream{seed_, epoch, kPlaceKey, id};
  const double most = augment_.channel_gain();
  for (size_t c = 0; c < gains.size(); ++c)
    gains[c] = static_cast<float>(Between(1 - most, 1 + most, stream.Bits(5 + static_cast<uint32_t>(c))));
  return gains;
}

}  // namespace lockstep::data
