// Pictures with boxes around their objects, as annotation files of all formats are read.
//
// Boxes are in pixels, (x, y) is the upper left corner. COCO's and Pascal VOC's are the doubles that their decimals
// say. YOLO's are fractions of the picture, rounded to hundredths of a pixel when they have been multiplied: the same
// boxes in whole pixels (VOC, COCO) or hundredths of them (COCO) then have the same bits in all three formats, where
// YOLO's fractions have six decimals and pictures are smaller than 6,600 pixels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/annotation.h"
#include "data/boxes/box_problems.h"

namespace lockstep::data {

struct AnnotatedImage {
  std::string file;               ///< as the annotations name it
  int64_t width = 0, height = 0;  ///< 0 where the annotations don't say
  int64_t id = 0;                 ///< COCO's; of others its place in the list
  std::vector<BoxAnnotation> boxes;

  friend bool operator==(const AnnotatedImage&, const AnnotatedImage&) = default;
};

struct BoxData {
  std::vector<std::string> categories;
  std::vector<int64_t> category_ids;  ///< COCO's, -1 of one that the file lacks; of others their place in the list
  std::vector<AnnotatedImage> images;
  BoxProblems problems;  ///< what was found wrong; what could not be used is left out
};

/// Numbers the categories as `expected` does, by their names, so that a test split has the training split's. Boxes of
/// names that are not there are left out; each such category is a problem of `data`. Names are compared as they stand.
void MatchCategories(const std::vector<std::string>& expected, BoxData& data);

}  // namespace lockstep::data
