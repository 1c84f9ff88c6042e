#include "launch/answers/box_sheet.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "data/image/decode_image.h"
#include "launch/answers/draw_boxes.h"
#include "launch/answers/thumbnail.h"

namespace lockstep::launch {
namespace {

constexpr int64_t kPictures = 16, kColumns = 4, kSide = 320, kGap = 8;

/// A sample's picture, made small, with its boxes.
data::Image DrawSample(const data::Dataset& samples, uint64_t id) {
  constexpr std::array<uint8_t, 3> kGrey = {150, 150, 150};
  data::Sample sample;
  samples.Read(0, id, sample);
  data::Image picture;
  data::DecodeImage(sample.tensors[0].bytes, {}, {samples.Describe(0, id).line, "the split"}, picture);
  data::Image small = Shrink(picture, kSide);
  const double scale = static_cast<double>(small.width) / static_cast<double>(picture.width);
  data::SampleSize size;
  samples.Measure(0, id, size);
  const std::vector<std::string>& names = samples.traits().class_names;
  std::vector<DrawnBox> drawn;
  for (const data::BoxAnnotation& box : size.pictures.front().boxes)
    drawn.push_back({box.x * scale, box.y * scale, box.width * scale, box.height * scale,
                     names[static_cast<size_t>(box.category)], box.crowd ? kGrey : BoxColor(box.category)});
  DrawBoxes(drawn, small);
  return small;
}

}  // namespace

data::Image DrawBoxSheet(const data::Dataset& samples) {
  const auto count = static_cast<int64_t>(std::min<uint64_t>(samples.size(), kPictures));
  const int64_t columns = std::min(count, kColumns), rows = (count + columns - 1) / columns;
  data::Image sheet;
  sheet.Resize(rows * (kSide + kGap) + kGap, columns * (kSide + kGap) + kGap, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), uint8_t{255});
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t id = samples.size() * static_cast<uint64_t>(i) / static_cast<uint64_t>(count);
    const data::Image picture = DrawSample(samples, id);
    const int64_t top = kGap + i / columns * (kSide + kGap) + (kSide - picture.height) / 2;
    const int64_t left = kGap + i % columns * (kSide + kGap) + (kSide - picture.width) / 2;
    for (int64_t y = 0; y < picture.height; ++y)
      std::copy_n(picture.row(y), picture.row_bytes(), sheet.row(top + y) + left * 3);
  }
  return sheet;
}

}  // namespace lockstep::launch
