// What readers of all formats look for in their boxes.
#pragma once

#include <string>
#include <vector>

#include "data/boxes/box_data.h"

namespace lockstep::data {

/// Notices boxes that were written as two corners where a corner (or centre) and a size are meant: in all of them the
/// second pair of numbers is larger than the first, and read as they are meant, some reach out of their pictures.
class CornerCheck {
 public:
  /// The four numbers as they stand in the file, and whether they are a box that reaches out.
  void Add(double first_x, double first_y, double second_x, double second_y, bool outside, const std::string& place);
  void Tell(BoxProblems& problems) const;

 private:
  bool all_larger_ = true;
  int64_t outside_ = 0;
  std::string first_;
};

/// Whether it reaches more than a pixel out of the picture; no where the picture's size is unknown.
bool IsOutside(const BoxAnnotation& box, const AnnotatedImage& image);

/// Adds the box to the image if it has width and height, else to the problems, as also if it reaches out of the
/// picture. Says whether it reaches out.
bool AddBox(const BoxAnnotation& box, const std::string& place, AnnotatedImage& image, BoxProblems& problems);

/// Names files that are listed twice.
void CheckFiles(const std::vector<AnnotatedImage>& images, BoxProblems& problems);

}  // namespace lockstep::data
