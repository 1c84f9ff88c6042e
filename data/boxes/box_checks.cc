#include "data/boxes/box_checks.h"

#include <fmt/format.h>

#include <unordered_set>

namespace lockstep::data {

void CornerCheck::Add(double first_x, double first_y, double second_x, double second_y, bool outside,
                      const std::string& place) {
  all_larger_ &= second_x > first_x && second_y > first_y;
  if (!outside) return;
  if (outside_++ == 0) first_ = place;
}

void CornerCheck::Tell(BoxProblems& problems) const {
  if (all_larger_ && outside_ > 0) problems.Add(BoxProblem::kCorners, first_, outside_);
}

bool IsOutside(const BoxAnnotation& box, const AnnotatedImage& image) {
  constexpr double kMargin = 1;  // VOC counts pixels from 1, and annotators' tools round
  if (image.width == 0 || image.height == 0) return false;
  return box.x < -kMargin || box.y < -kMargin || box.x + box.width > static_cast<double>(image.width) + kMargin ||
         box.y + box.height > static_cast<double>(image.height) + kMargin;
}

bool AddBox(const BoxAnnotation& box, const std::string& place, AnnotatedImage& image, BoxProblems& problems) {
  if (!(box.width > 0 && box.height > 0)) {
    problems.Add(BoxProblem::kDegenerate, place);
    return false;
  }
  const bool outside = IsOutside(box, image);
  if (outside) problems.Add(BoxProblem::kOutside, place);
  image.boxes.push_back(box);
  return outside;
}

void CheckFiles(const std::vector<AnnotatedImage>& images, BoxProblems& problems) {
  std::unordered_set<std::string> files;
  for (const AnnotatedImage& image : images)
    if (!image.file.empty() && !files.insert(image.file).second) problems.Add(BoxProblem::kRepeatedImage, image.file);
}

}  // namespace lockstep::data
