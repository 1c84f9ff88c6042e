// Pictures made smaller and larger by a triangle filter, which is as wide as the reduction: bilinear interpolation
// without aliasing. The values are those of Pillow's Image.resize(size, BILINEAR, box), to one level: weights of 22
// bits behind the point, columns first, bytes between both directions. (Pillow takes rows first for some shapes, and
// rounds boxes to f32; elsewhere they are equal.)
#pragma once

#include <cstdint>
#include <vector>

#include "data/image/image.h"

namespace lockstep::data {

/// A part of a picture, in pixels from its upper left corner; edges may lie inside pixels.
struct ImageBox {
  double top = 0, left = 0, bottom = 0, right = 0;

  double height() const { return bottom - top; }
  double width() const { return right - left; }
};

/// `box` of a picture of picture_height x picture_width pixels becomes height x width pixels. REQUIRES: the box lies in
/// the picture, and nothing is empty.
struct Resizing {
  int64_t picture_height = 0, picture_width = 0;
  ImageBox box;
  int64_t height = 0, width = 0;

  /// The pixels that the result hangs on: the box, and what the filter reaches around it.
  ImageRegion Needed() const;
};

/// Memory that Resize uses again.
struct ResizeScratch {
  Image columns;  ///< resized in one direction
  Image needed;   ///< of a whole picture
  std::vector<int32_t> weights;
  std::vector<int64_t> firsts;
  std::vector<uint8_t> columns_of_rows;
};

/// Replaces `output`, which is another image than `pixels`: those of the picture that are Needed().
void Resize(const Image& pixels, const Resizing& resizing, ResizeScratch& scratch, Image& output);

/// The same of a whole picture, of which only the needed pixels are looked at.
void ResizeBox(const Image& picture, const ImageBox& box, int64_t height, int64_t width, ResizeScratch& scratch,
               Image& output);

}  // namespace lockstep::data
