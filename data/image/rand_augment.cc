#include "data/image/rand_augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "data/image/color.h"

namespace lockstep::data {
namespace {

constexpr uint32_t kMostMagnitude = 30, kDefaultMagnitude = 9, kDefaultOps = 2, kMostOps = 100;

/// Which pixel (x, y) of the result comes from: (xx x + xy y + x0, yx x + yy y + y0).
struct Affine {
  double xx = 1, xy = 0, x0 = 0, yx = 0, yy = 1, y0 = 0;
};

void Warp(const Affine& map, Image& image) {
  const Image before = image;
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{0});
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* to = image.row(y);
    for (int64_t x = 0; x < image.width; ++x, to += image.channels) {
      const auto column = static_cast<double>(x), row = static_cast<double>(y);
      const double from_x = std::nearbyint(map.xx * column + map.xy * row + map.x0);
      const double from_y = std::nearbyint(map.yx * column + map.yy * row + map.y0);
      if (from_x < 0 || from_y < 0 || from_x >= static_cast<double>(image.width) ||
          from_y >= static_cast<double>(image.height))
        continue;
      std::copy_n(before.row(static_cast<int64_t>(from_y)) + static_cast<int64_t>(from_x) * image.channels,
                  image.channels, to);
    }
  }
}

/// Around the picture's middle, against the clock.
Affine Rotation(double degrees, const Image& image) {
  constexpr double kHalfTurn = 180;
  const double angle = degrees * 3.14159265358979323846 / kHalfTurn, cosine = std::cos(angle), sine = std::sin(angle);
  const double x = static_cast<double>(image.width - 1) / 2, y = static_cast<double>(image.height - 1) / 2;
  return {cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y};
}

using Table = std::array<uint8_t, 256>;
using Counts = std::array<int64_t, 256>;

template <typename F>
void LookEachChannel(const F& make_table, Image& image) {
  for (int64_t c = 0; c < image.channels; ++c) {
    Counts counts{};
    for (size_t i = static_cast<size_t>(c); i < image.pixels.size(); i += static_cast<size_t>(image.channels))
      ++counts[image.pixels[i]];
    const Table table = make_table(counts);
    for (size_t i = static_cast<size_t>(c); i < image.pixels.size(); i += static_cast<size_t>(image.channels))
      image.pixels[i] = table[image.pixels[i]];
  }
}

Table Unchanged() {
  Table table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<uint8_t>(i);
  return table;
}

/// The least value becomes 0, the greatest 255.
Table StretchTable(const Counts& counts) {
  Table table = Unchanged();
  size_t least = 0, most = 255;
  while (least < most && counts[least] == 0) ++least;
  while (most > least && counts[most] == 0) --most;
  if (least == most) return table;
  const float scale = 255.0f / static_cast<float>(most - least);
  for (size_t i = least; i <= most; ++i)
    table[i] = static_cast<uint8_t>(std::min(static_cast<float>(i - least) * scale, 255.0f));
  return table;
}

/// All values become about equally frequent.
Table EqualizeTable(const Counts& counts) {
  Table table = Unchanged();
  int64_t sum = 0, last = 0;
  for (const int64_t count : counts) {
    sum += count;
    if (count > 0) last = count;
  }
  const int64_t step = (sum - last) / 255;
  if (step == 0) return table;
  int64_t below = 0;
  for (size_t i = 0; i < table.size(); ++i) {
    // Nothing lies below the first value, and so it is 0.
    table[i] = i == 0 ? 0 : static_cast<uint8_t>(std::min<int64_t>((below + step / 2) / step, 255));
    below += counts[i];
  }
  return table;
}

void Posterize(int bits, Image& image) {
  const auto mask = static_cast<uint8_t>(0xFF << (8 - bits));
  for (uint8_t& value : image.pixels) value &= mask;
}

void Solarize(float threshold, Image& image) {
  for (uint8_t& value : image.pixels)
    if (static_cast<float>(value) >= threshold) value = static_cast<uint8_t>(255 - value);
}

}  // namespace

void ApplyOp(PictureOp op, uint32_t magnitude, bool negative, Image& image) {
  constexpr double kMostShear = 0.3, kMostShift = 150.0 / 331, kMostDegrees = 30, kMostFactor = 0.9;
  const double share = magnitude / static_cast<double>(kMostMagnitude), sign = negative ? -1 : 1;
  const double factor = 1 + sign * share * kMostFactor;
  const double shear = sign * share * kMostShear;
  const auto shift = [&](int64_t side) { return -std::trunc(sign * share * kMostShift * static_cast<double>(side)); };
  switch (op) {
    case PictureOp::kIdentity:
      return;
    case PictureOp::kShearX:
      return Warp({.xy = shear, .x0 = shear / 2}, image);
    case PictureOp::kShearY:
      return Warp({.yx = shear, .y0 = shear / 2}, image);
    case PictureOp::kTranslateX:
      return Warp({.x0 = shift(image.width)}, image);
    case PictureOp::kTranslateY:
      return Warp({.y0 = shift(image.height)}, image);
    case PictureOp::kRotate:
      return Warp(Rotation(sign * share * kMostDegrees, image), image);
    case PictureOp::kBrightness:
      return AdjustBrightness(factor, image);
    case PictureOp::kColor:
      return AdjustSaturation(factor, image);
    case PictureOp::kContrast:
      return AdjustContrast(factor, image);
    case PictureOp::kSharpness:
      return AdjustSharpness(factor, image);
    case PictureOp::kPosterize:
      return Posterize(8 - static_cast<int>(std::lround(4 * share)), image);
    case PictureOp::kSolarize:
      return Solarize(static_cast<float>(255 * (1 - share)), image);
    case PictureOp::kAutoContrast:
      return LookEachChannel(StretchTable, image);
    case PictureOp::kEqualize:
      return LookEachChannel(EqualizeTable, image);
  }
}

void AugmentAtRandom(const RandAugment& config, const RandomStream& stream, Image& image) {
  const uint32_t ops = config.ops() == 0 ? kDefaultOps : config.ops();
  const uint32_t magnitude = config.has_magnitude() ? config.magnitude() : kDefaultMagnitude;
  for (uint32_t i = 0; i < ops; ++i) {
    const auto op = static_cast<PictureOp>(uint64_t{stream.Bits(2 * i)} * kPictureOps >> 32);
    ApplyOp(op, magnitude, (stream.Bits(2 * i + 1) >> 31) != 0, image);
  }
}

void CheckRandAugment(const RandAugment& config) {
  const auto require = [](uint32_t value, uint32_t most, const char* field) {
    if (value <= most) return;
    throw Error(ErrorKind::kUsage, fmt::format("{} is more than {}", value, most), field,
                "leave it out for the default");
  };
  require(config.ops(), kMostOps, "data.augment.rand_augment.ops");
  require(config.magnitude(), kMostMagnitude, "data.augment.rand_augment.magnitude");
}

}  // namespace lockstep::data
