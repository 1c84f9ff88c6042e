#include "data/image/orientation.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace lockstep::data {
namespace {

/// A TIFF file's numbers, in its own byte order; 0 behind its end.
class TiffReader {
 public:
  explicit TiffReader(std::span<const std::byte> bytes) : bytes_(bytes) {
    little_ = At(0) == 'I' && At(1) == 'I';
    valid_ = (little_ || (At(0) == 'M' && At(1) == 'M')) && Short(2) == 42;
  }
  bool valid() const { return valid_; }
  uint32_t Short(size_t at) const { return little_ ? At(at) | At(at + 1) << 8 : At(at) << 8 | At(at + 1); }
  uint32_t Long(size_t at) const { return little_ ? Short(at) | Short(at + 2) << 16 : Short(at) << 16 | Short(at + 2); }

 private:
  uint32_t At(size_t at) const { return at < bytes_.size() ? std::to_integer<uint32_t>(bytes_[at]) : 0; }

  std::span<const std::byte> bytes_;
  bool little_ = false, valid_ = false;
};

}  // namespace

Orientation ReadOrientation(std::span<const std::byte> tiff) {
  constexpr uint32_t kOrientationTag = 0x0112, kShort = 3;
  constexpr size_t kEntryBytes = 12;
  const TiffReader reader(tiff);
  if (!reader.valid()) return {};
  const size_t directory = reader.Long(4);
  const uint32_t entries = reader.Short(directory);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > tiff.size()) break;
    if (reader.Short(entry) != kOrientationTag || reader.Short(entry + 2) != kShort) continue;
    switch (reader.Short(entry + 8)) {
      case 2:
        return {false, false, true};
      case 3:
        return {false, true, true};
      case 4:
        return {false, true, false};
      case 5:
        return {true, false, false};
      case 6:
        return {true, true, false};
      case 7:
        return {true, true, true};
      case 8:
        return {true, false, true};
      default:
        return {};
    }
  }
  return {};
}

ImageRegion StoredRegion(const Orientation& orientation, const ImageRegion& upright, int64_t stored_height,
                         int64_t stored_width) {
  ImageRegion region = upright;
  if (orientation.transpose) {
    std::swap(region.top, region.left);
    std::swap(region.height, region.width);
  }
  if (orientation.flip_rows) region.top = stored_height - region.top - region.height;
  if (orientation.flip_columns) region.left = stored_width - region.left - region.width;
  return region;
}

void MakeUpright(const Orientation& orientation, Image& image) {
  if (orientation.upright()) return;
  Image stored;
  std::swap(stored, image);
  image.Resize(orientation.transpose ? stored.width : stored.height,
               orientation.transpose ? stored.height : stored.width, stored.channels);
  for (int64_t y = 0; y < image.height; ++y) {
    uint8_t* to = image.row(y);
    for (int64_t x = 0; x < image.width; ++x, to += image.channels) {
      int64_t row = orientation.transpose ? x : y, column = orientation.transpose ? y : x;
      if (orientation.flip_rows) row = stored.height - 1 - row;
      if (orientation.flip_columns) column = stored.width - 1 - column;
      std::copy_n(stored.row(row) + column * stored.channels, stored.channels, to);
    }
  }
}

}  // namespace lockstep::data
