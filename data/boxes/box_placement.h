// Where a sample's pictures and boxes come to lie in a model's input: fitted, and in training changed at random.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/boxes/pixel_map.h"
#include "data/data.pb.h"
#include "data/image/fit_picture.h"

namespace lockstep::data {

/// One of the pictures that a sample is made of.
struct Tile {
  Placing placing;  ///< the pixels that are decoded
  PixelMap map;     ///< from the picture to the input
  Rectangle seen;   ///< what it fills of the input
};

/// Pure: all randomness comes from (seed, epoch, id). Thread-safe.
class BoxPlacement {
 public:
  /// Throws Error(kUsage) naming the field of data.pictures or data.augment.
  BoxPlacement(const Pictures& pictures, const Augment& augment, uint64_t seed);

  const PictureFit& fit() const { return fit_; }

  /// Of one picture, or of the four of a mosaic: upper left, upper right, lower left, lower right.
  std::vector<Tile> Tiles(std::span<const AnnotatedPicture> pictures, uint64_t epoch, uint64_t id, bool augment) const;
  /// The boxes of those pictures that a model is trained on, cut at the edges of what is seen. Left out are those of
  /// crowds, those without an area, and those of which too little is seen: where parts are drawn those whose middle is
  /// not, else those of which less than a share is.
  std::vector<PlacedBox> Boxes(std::span<const AnnotatedPicture> pictures, std::span<const Tile> tiles,
                               bool augment) const;
  /// What each channel is multiplied by.
  std::vector<float> Gains(uint64_t epoch, uint64_t id, bool augment) const;

 private:
  PixelMap Change(uint64_t epoch, uint64_t id) const;

  const PictureFit fit_;
  const Augment augment_;
  const uint64_t seed_;
};

}  // namespace lockstep::data
