#include "data/image/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"

namespace lockstep::data {
namespace {

/// Whole numbers, cut off, as bytes.
uint8_t ToByte(float value) { return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f)); }

/// Between another picture, where the factor is 0, and the picture itself, where it is 1; or beyond.
struct Blend {
  explicit Blend(double factor) : own(static_cast<float>(factor)), others(static_cast<float>(1 - factor)) {}
  uint8_t operator()(uint8_t value, float other) const {
    return ToByte(own * static_cast<float>(value) + others * other);
  }
  float own, others;
};

/// Replaces each byte by the table's.
void Look(const std::array<uint8_t, 256>& table, Image& image) {
  for (uint8_t& value : image.pixels) value = table[value];
}

uint8_t GreyOf(const uint8_t* pixel, int64_t channels) {
  if (channels == 1) return pixel[0];
  return static_cast<uint8_t>(0.2989f * static_cast<float>(pixel[0]) + 0.587f * static_cast<float>(pixel[1]) +
                              0.114f * static_cast<float>(pixel[2]));
}

/// Turns one pixel of three bytes as fractions of 1, through hue, saturation and value (Smith 1978).
void TurnHue(float turn, uint8_t* pixel) {
  const float red = static_cast<float>(pixel[0]) / 255.0f, green = static_cast<float>(pixel[1]) / 255.0f,
              blue = static_cast<float>(pixel[2]) / 255.0f;
  const float value = std::max({red, green, blue}), range = value - std::min({red, green, blue});
  if (range == 0) return;
  const float saturation = range / value;
  float hue = value == red     ? (green - blue) / range
              : value == green ? 2.0f + (blue - red) / range
                               : 4.0f + (red - green) / range;
  hue = hue / 6.0f + turn;
  hue = (hue - std::floor(hue)) * 6.0f;
  const float whole = std::floor(hue), rest = hue - whole;
  const float p = value * (1.0f - saturation), q = value * (1.0f - saturation * rest),
              t = value * (1.0f - saturation * (1.0f - rest));
  const std::array<std::array<float, 3>, 6> sextants{
      {{value, t, p}, {q, value, p}, {p, value, t}, {p, q, value}, {t, p, value}, {value, p, q}}};
  const std::array<float, 3>& turned = sextants[static_cast<size_t>(whole) % 6];
  constexpr float kJustBelow256 = 255.999f;  // so that 1 is 255, and all bytes are of equal width
  for (size_t c = 0; c < 3; ++c) pixel[c] = ToByte(turned[c] * kJustBelow256);
}

}  // namespace

void AdjustBrightness(double factor, Image& image) {
  const Blend blend(factor);
  std::array<uint8_t, 256> table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = blend(static_cast<uint8_t>(i), 0);
  Look(table, image);
}

void AdjustContrast(double factor, Image& image) {
  const Blend blend(factor);
  uint64_t sum = 0;
  const int64_t count = image.height * image.width;
  for (int64_t i = 0; i < count; ++i) sum += GreyOf(image.pixels.data() + i * image.channels, image.channels);
  const auto mean = static_cast<float>(static_cast<double>(sum) / static_cast<double>(count));
  std::array<uint8_t, 256> table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = blend(static_cast<uint8_t>(i), mean);
  Look(table, image);
}

void AdjustSaturation(double factor, Image& image) {
  if (image.channels == 1) return;
  const Blend blend(factor);
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    uint8_t* pixel = image.pixels.data() + i;
    const auto grey = static_cast<float>(GreyOf(pixel, 3));
    for (int c = 0; c < 3; ++c) pixel[c] = blend(pixel[c], grey);
  }
}

void AdjustHue(double turn, Image& image) {
  if (image.channels == 1 || turn == 0) return;
  for (size_t i = 0; i < image.pixels.size(); i += 3) TurnHue(static_cast<float>(turn), image.pixels.data() + i);
}

void AdjustSharpness(double factor, Image& image) {
  const Blend blend(factor);
  const Image before = image;
  const int64_t pitch = before.row_bytes(), step = before.channels;
  for (int64_t y = 1; y + 1 < image.height; ++y) {
    const uint8_t* from = before.row(y);
    uint8_t* to = image.row(y);
    for (int64_t i = step; i < pitch - step; ++i) {
      const uint8_t *above = from + i - pitch, *at = from + i, *below = from + i + pitch;
      const int sum = above[-step] + above[0] + above[step] + at[-step] + 5 * at[0] + at[step] + below[-step] +
                      below[0] + below[step];
      constexpr int kWeights = 13;
      const int blurred = (2 * sum + kWeights) / (2 * kWeights);  // never half way: 13 is odd
      to[i] = blend(at[0], static_cast<float>(blurred));
    }
  }
}

void JitterColors(const ColorJitter& config, const RandomStream& stream, Image& image) {
  std::array<int, 4> order{0, 1, 2, 3};
  const Philox4 places = stream.Group(0), factors = stream.Group(1);
  for (size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[static_cast<size_t>(uint64_t{places.x[i]} * (i + 1) >> 32)]);
  const auto between = [&](double least, double most, int which) {
    return least + (most - least) * (factors.x[which] * 0x1p-32);
  };
  const auto factor = [&](double range, int which) { return between(std::max(0.0, 1 - range), 1 + range, which); };
  for (const int which : order) {
    if (which == 0 && config.brightness() > 0) AdjustBrightness(factor(config.brightness(), which), image);
    if (which == 1 && config.contrast() > 0) AdjustContrast(factor(config.contrast(), which), image);
    if (which == 2 && config.saturation() > 0) AdjustSaturation(factor(config.saturation(), which), image);
    if (which == 3 && config.hue() > 0) AdjustHue(between(-config.hue(), config.hue(), which), image);
  }
}

void CheckColorJitter(const ColorJitter& config) {
  const auto require = [](double value, double most, const char* field) {
    if (value >= 0 && value <= most) return;
    throw Error(ErrorKind::kUsage, fmt::format("{} is not between 0 and {}", value, most), field, "0 leaves it out");
  };
  constexpr double kMost = 100, kHalfCircle = 0.5;
  require(config.brightness(), kMost, "data.augment.color_jitter.brightness");
  require(config.contrast(), kMost, "data.augment.color_jitter.contrast");
  require(config.saturation(), kMost, "data.augment.color_jitter.saturation");
  require(config.hue(), kHalfCircle, "data.augment.color_jitter.hue");
}

}  // namespace lockstep::data
