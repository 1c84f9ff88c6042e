#include "launch/answers/thumbnail.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "data/image/resize.h"
#include "launch/answers/encode_picture.h"

namespace lockstep::launch {
namespace {

std::string Base64(std::string_view bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i)
      group = group << 8 | (at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0U);
    for (size_t i = 0; i < 4; ++i) text += at + i > bytes.size() ? '=' : kDigits[group >> (18 - 6 * i) & 63];
  }
  return text;
}

}  // namespace

data::Image Shrink(const data::Image& picture, int64_t wanted) {
  const int64_t side = std::max(picture.height, picture.width);
  if (side <= wanted) return picture;
  const auto scaled = [&](int64_t length) { return std::max<int64_t>(1, (length * wanted + side / 2) / side); };
  data::Image small;
  data::ResizeScratch scratch;
  data::ResizeBox(picture, {0, 0, static_cast<double>(picture.height), static_cast<double>(picture.width)},
                  scaled(picture.height), scaled(picture.width), scratch, small);
  return small;
}

std::string Thumbnail(const data::Image& picture, int64_t side) {
  const data::Image small = Shrink(picture, side);
  const std::string png = EncodePng(small), jpeg = EncodeJpeg(small);
  return Base64(png.size() <= jpeg.size() ? png : jpeg);
}

}  // namespace lockstep::launch
