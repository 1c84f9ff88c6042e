#include "data/image/random_crop.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace lockstep::data {
namespace {

struct Ranges {
  double min_area, max_area, min_ratio, max_ratio;
};

double Or(double value, double otherwise) { return value == 0 ? otherwise : value; }

Ranges RangesOf(const RandomResizedCrop& config) {
  return {Or(config.min_area(), 0.08), Or(config.max_area(), 1), Or(config.min_ratio(), 3.0 / 4),
          Or(config.max_ratio(), 4.0 / 3)};
}

/// A number in [0, 1) from 32 random bits.
double Uniform(uint32_t bits) { return bits * 0x1p-32; }

/// A number in [0, count).
int64_t Below(uint32_t bits, int64_t count) {
  return static_cast<int64_t>(uint64_t{bits} * static_cast<uint64_t>(count) >> 32);
}

ImageBox Box(int64_t top, int64_t left, int64_t height, int64_t width) {
  return {static_cast<double>(top), static_cast<double>(left), static_cast<double>(top + height),
          static_cast<double>(left + width)};
}

}  // namespace

ImageBox DrawCrop(const RandomResizedCrop& config, const RandomStream& stream, int64_t height, int64_t width) {
  constexpr uint32_t kAttempts = 10;
  const Ranges ranges = RangesOf(config);
  const double area = static_cast<double>(height) * static_cast<double>(width);
  const double log_min = std::log(ranges.min_ratio), log_max = std::log(ranges.max_ratio);
  for (uint32_t i = 0; i < kAttempts; ++i) {
    const Philox4 bits = stream.Group(i);
    const double part = area * (ranges.min_area + (ranges.max_area - ranges.min_area) * Uniform(bits.x[0]));
    const double ratio = std::exp(log_min + (log_max - log_min) * Uniform(bits.x[1]));
    const auto crop_width = static_cast<int64_t>(std::llround(std::sqrt(part * ratio)));
    const auto crop_height = static_cast<int64_t>(std::llround(std::sqrt(part / ratio)));
    if (crop_width < 1 || crop_height < 1 || crop_width > width || crop_height > height) continue;
    return Box(Below(bits.x[2], height - crop_height + 1), Below(bits.x[3], width - crop_width + 1), crop_height,
               crop_width);
  }
  int64_t crop_height = height, crop_width = width;
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  if (ratio < ranges.min_ratio) {
    crop_height = std::llround(static_cast<double>(width) / ranges.min_ratio);
  } else if (ratio > ranges.max_ratio) {
    crop_width = std::llround(static_cast<double>(height) * ranges.max_ratio);
  }
  crop_height = std::clamp<int64_t>(crop_height, 1, height);
  crop_width = std::clamp<int64_t>(crop_width, 1, width);
  return Box((height - crop_height) / 2, (width - crop_width) / 2, crop_height, crop_width);
}

ImageBox MiddleOf(int64_t height, int64_t width, int64_t wanted_height, int64_t wanted_width, double share) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  const double scale = std::min(h / static_cast<double>(wanted_height), w / static_cast<double>(wanted_width)) * share;
  const double part_height = std::min(scale * static_cast<double>(wanted_height), h);
  const double part_width = std::min(scale * static_cast<double>(wanted_width), w);
  const double top = (h - part_height) / 2, left = (w - part_width) / 2;
  return {top, left, std::min(top + part_height, h), std::min(left + part_width, w)};
}

void CheckCrop(const RandomResizedCrop& config) {
  const Ranges ranges = RangesOf(config);
  const auto require = [](bool good, const char* field, const char* range) {
    if (!good)
      throw Error(ErrorKind::kUsage, fmt::format("it is not {}", range), field, "leave it out for the default");
  };
  require(ranges.min_area > 0 && ranges.min_area <= ranges.max_area, "data.augment.random_resized_crop.min_area",
          "above 0 and at most max_area");
  require(ranges.max_area <= 1, "data.augment.random_resized_crop.max_area", "at most 1");
  require(ranges.min_ratio > 0 && ranges.min_ratio <= ranges.max_ratio, "data.augment.random_resized_crop.min_ratio",
          "above 0 and at most max_ratio");
  require(std::isfinite(ranges.max_ratio), "data.augment.random_resized_crop.max_ratio", "a finite number");
}

}  // namespace lockstep::data
