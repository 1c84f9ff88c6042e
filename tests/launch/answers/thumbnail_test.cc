#include "launch/answers/thumbnail.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "data/image/decode_image.h"

namespace lockstep::launch {
namespace {

/// RFC 4648, apart from the one that is tested.
std::vector<std::byte> Decode64(const std::string& text) {
  static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> bytes;
  uint32_t bits = 0;
  int held = 0;
  EXPECT_EQ(text.size() % 4, 0u);
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(digits.find(c));
    if ((held += 6) >= 8) bytes.push_back(static_cast<std::byte>(bits >> (held -= 8) & 255));
  }
  return bytes;
}

data::Image Decode(const std::string& base64, int channels) {
  data::Image image;
  data::DecodeImage(Decode64(base64), {.channels = channels}, {"a thumbnail", ""}, image);
  return image;
}

TEST(Thumbnail, OfASmallFlatPictureIsThePictureItself) {
  for (const int64_t width : {1, 2, 3, 28}) {
    data::Image picture;
    picture.Resize(2, width, 1);
    for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = i % 3 == 0 ? 255 : 7;
    const data::Image image = Decode(Thumbnail(picture), 1);
    EXPECT_EQ(image.height, 2);
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.pixels, picture.pixels);
  }
}

TEST(Thumbnail, OfAPhotoIsSmallInPixelsAndBytes) {
  data::Image picture;
  picture.Resize(300, 400, 3);
  uint32_t noise = 1;
  for (int64_t y = 0; y < 300; ++y)
    for (int64_t x = 0; x < 400; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        noise = noise * 1664525 + 1013904223;
        picture.row(y)[3 * x + c] = static_cast<uint8_t>((c == 0 ? x / 2 : y / 2) + (noise >> 26));
      }
  const std::string thumbnail = Thumbnail(picture);
  EXPECT_LT(thumbnail.size(), 6000u);
  EXPECT_EQ(thumbnail.substr(0, 4), "/9j/") << "a JPEG";
  const data::Image image = Decode(thumbnail, 3);
  EXPECT_EQ(image.height, 72);
  EXPECT_EQ(image.width, 96);
  // Red grows to the right, blue downwards.
  EXPECT_GT(image.row(36)[3 * 90], image.row(36)[3 * 5] + 120);
  EXPECT_GT(image.row(68)[3 * 48 + 2], image.row(3)[3 * 48 + 2] + 80);
}

TEST(Thumbnail, OfAVeryFlatPictureHasARow) {
  data::Image picture;
  picture.Resize(1, 5000, 1);
  const data::Image image = Decode(Thumbnail(picture), 1);
  EXPECT_EQ(image.height, 1);
  EXPECT_EQ(image.width, 96);
}

}  // namespace
}  // namespace lockstep::launch
