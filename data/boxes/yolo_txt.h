// YOLO's annotations, as Ultralytics' programs read them (docs.ultralytics.com/datasets/detect): a text file for each
// picture, and a data.yaml with the names of categories and where pictures are.
//
// A line is the category's number, then centre x, centre y, width and height as fractions of the picture; or the
// corners of a polygon (x y x y x y ...), of which the box around it is taken. An empty file is a picture without
// objects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/boxes/box_data.h"
#include "data/origin.h"

namespace lockstep::data {

struct YoloBox {
  int32_t category = 0;
  double x = 0, y = 0;  ///< of the centre
  double width = 0, height = 0;
  uint64_t line = 0;  ///< from 1
};

/// The boxes of one picture, in fractions of it. Throws Error(kData) with the line where the columns' number is
/// another, a number is none, or the category is no whole number of at least 0.
std::vector<YoloBox> ReadYoloTxt(std::span<const std::byte> text, const Origin& origin);

struct YoloImage {
  std::string path;  ///< of the text, for problems
  std::string file;  ///< of the picture
  int64_t width = 0, height = 0;
  std::vector<YoloBox> boxes;
};

/// All pictures as one data set. In pixels, sides are rounded to hundredths of one (box_data.h). A box whose category
/// is not among `names` is left out and a problem. REQUIRES: widths and heights are above 0.
BoxData MakeYoloData(const std::vector<std::string>& names, const std::vector<YoloImage>& images);

}  // namespace lockstep::data
