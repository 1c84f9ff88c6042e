#include "data/image/decode_options.h"

#include "base/error.h"

namespace lockstep::data {

void RequirePixels(int64_t height, int64_t width, int64_t most_pixels, const Origin& origin) {
  if (height < 1 || width < 1) throw origin.Bad("the picture has no pixels", "copy or make it again");
  if (height <= most_pixels / width) return;
  throw origin.Bad(
      fmt::format("the picture says that it is {} x {} pixels; more than {} are not read", width, height, most_pixels),
      "make it smaller, or take it out");
}

}  // namespace lockstep::data
