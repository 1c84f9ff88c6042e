// Where the pixels of a picture, and with them its boxes, come to lie in a model's input.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/annotation.h"
#include "data/image/fit_picture.h"

namespace lockstep::data {

/// Along one axis: x of the picture comes to scale * x + offset. In pixels from the upper left corner, both of them, so
/// that pixel i lies from i to i + 1. A negative scale mirrors.
struct AxisMap {
  double scale = 1, offset = 0;

  double To(double x) const { return scale * x + offset; }
  double From(double y) const { return (y - offset) / scale; }
  /// First this one, then `next`.
  AxisMap Then(const AxisMap& next) const { return {next.scale * scale, next.scale * offset + next.offset}; }
};

struct PixelMap {
  AxisMap x, y;

  PixelMap Then(const PixelMap& next) const { return {x.Then(next.x), y.Then(next.y)}; }
};

/// Edges in pixels; edges may lie inside pixels.
struct Rectangle {
  double left = 0, top = 0, right = 0, bottom = 0;

  double area() const { return (right - left) * (bottom - top); }
};

/// `map` of all of a rectangle.
Rectangle Moved(const Rectangle& rectangle, const PixelMap& map);
/// What of `a` lies in `b`; of no area where nothing does.
Rectangle Cut(const Rectangle& a, const Rectangle& b);

/// A box in a model's input.
struct PlacedBox {
  float left = 0, top = 0, right = 0, bottom = 0;
  int32_t category = 0;
};

/// How a picture lies in an input of height x width: its part, made as large as it says, in the middle.
PixelMap MapOf(const Placing& placing, int64_t height, int64_t width);

/// Of a picture that nothing changes: evaluated, or predicted on.
PixelMap MapOf(const PictureFit& fit, int64_t picture_height, int64_t picture_width);

}  // namespace lockstep::data
