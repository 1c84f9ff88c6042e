// Boxes that people drew around what pictures show.
#pragma once

#include <cstdint>
#include <span>

namespace lockstep::data {

/// In pixels of the picture as its file has it, from its upper left corner; edges may lie inside pixels.
struct BoxAnnotation {
  double x = 0, y = 0, width = 0, height = 0;  ///< x and y: of the upper left corner
  int32_t category = 0;                        ///< its place in the class names
  bool crowd = false;  ///< around several objects, or one that is hard to see: neither trained on nor counted as missed
  double area = 0;     ///< of the object in pixels, where the source says it (COCO); else of the box

  friend bool operator==(const BoxAnnotation&, const BoxAnnotation&) = default;
};

/// A picture's boxes, and its size in pixels. They lie in the memory of the data set.
struct AnnotatedPicture {
  int64_t height = 0, width = 0;
  std::span<const BoxAnnotation> boxes = {};
};

}  // namespace lockstep::data
