// What is wrong with annotations that can be read, but hardly mean what they say: of each kind how often, and where
// first.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace lockstep::data {

enum class BoxProblem : int {
  kUnknownCategory,     ///< an annotation's category is not among the categories; left out
  kShiftedCategories,   ///< all categories would be there if annotations' were larger or smaller by 1
  kCategoryZero,        ///< COCO's ids begin with 1, and many programs take 0 for the background; kept
  kOtherName,           ///< a category whose name is not among those that were expected; its boxes are left out
  kRepeatedCategory,    ///< an id or a name of a category twice; of an id the first name holds
  kRepeatedAnnotation,  ///< an id of an annotation twice; both are kept
  kAnnotationZero,      ///< an annotation's id is 0, which pycocotools takes for "not found"; kept
  kRepeatedImage,       ///< an image or file twice; of an id the first is kept, of a file both
  kUnknownImage,        ///< an annotation of an image that isn't listed; left out
  kCorners,             ///< boxes look like two corners instead of a corner (or centre) and a size; kept
  kDegenerate,          ///< boxes without width or height; left out
  kOutside,             ///< boxes that reach more than a pixel out of the picture; kept
};

/// In words, without the number: "boxes that reach out of the picture".
std::string NameOf(BoxProblem problem);
/// What to do about it.
std::string AdviceOn(BoxProblem problem);

class BoxProblems {
 public:
  struct Found {
    int64_t count = 0;
    std::string first;  ///< "annotation 17, category 5", "BloodImage_00000.xml:12"

    friend bool operator==(const Found&, const Found&) = default;
  };

  void Add(BoxProblem problem, const std::string& place, int64_t count = 1) {
    Found& found = found_[problem];
    if (found.count == 0) found.first = place;
    found.count += count;
  }

  const std::map<BoxProblem, Found>& all() const { return found_; }
  int64_t CountOf(BoxProblem problem) const {
    const auto found = found_.find(problem);
    return found == found_.end() ? 0 : found->second.count;
  }

 private:
  std::map<BoxProblem, Found> found_;
};

}  // namespace lockstep::data
