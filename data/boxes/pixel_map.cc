#include "data/boxes/pixel_map.h"

#include <algorithm>
#include <utility>

namespace lockstep::data {

Rectangle Moved(const Rectangle& rectangle, const PixelMap& map) {
  Rectangle moved{map.x.To(rectangle.left), map.y.To(rectangle.top), map.x.To(rectangle.right),
                  map.y.To(rectangle.bottom)};
  if (moved.left > moved.right) std::swap(moved.left, moved.right);
  if (moved.top > moved.bottom) std::swap(moved.top, moved.bottom);
  return moved;
}

Rectangle Cut(const Rectangle& a, const Rectangle& b) {
  Rectangle cut{std::max(a.left, b.left), std::max(a.top, b.top), std::min(a.right, b.right),
                std::min(a.bottom, b.bottom)};
  cut.right = std::max(cut.left, cut.right);
  cut.bottom = std::max(cut.top, cut.bottom);
  return cut;
}

PixelMap MapOf(const Placing& placing, int64_t height, int64_t width) {
  const auto axis = [](double begin, double length, int64_t becomes, int64_t of) {
    const double scale = static_cast<double>(becomes) / length;
    const int64_t margin = (of - becomes) / 2;
    return AxisMap{scale, static_cast<double>(margin) - begin * scale};
  };
  return {axis(placing.box.left, placing.box.width(), placing.width, width),
          axis(placing.box.top, placing.box.height(), placing.height, height)};
}

PixelMap MapOf(const PictureFit& fit, int64_t picture_height, int64_t picture_width) {
  return MapOf(fit.Place(picture_height, picture_width, {}, /*augment=*/false), fit.height(), fit.width());
}

}  // namespace lockstep::data
