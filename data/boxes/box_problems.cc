#include "data/boxes/box_problems.h"

#include "base/error.h"

namespace lockstep::data {
namespace {

struct Words {
  const char* name;
  const char* advice;
};

Words WordsOf(BoxProblem problem) {
  switch (problem) {
    case BoxProblem::kUnknownCategory:
      return {"annotations whose category is not listed; they are left out", "list it among the categories"};
    case BoxProblem::kShiftedCategories:
      return {"categories of annotations that are all listed when they are shifted by 1",
              "number annotations as the list of categories does"};
    case BoxProblem::kCategoryZero:
      return {"category that has the id 0", "number categories from 1: many programs take 0 for the background"};
    case BoxProblem::kOtherName:
      return {"categories whose names are not those of the training data; their boxes are left out",
              "name them alike, with the same capitals and blanks"};
    case BoxProblem::kRepeatedCategory:
      return {"categories that are listed twice", "give each category one id and one name"};
    case BoxProblem::kRepeatedAnnotation:
      return {"annotations that have another one's id", "number annotations anew: pycocotools loses all but the last"};
    case BoxProblem::kAnnotationZero:
      return {"annotation that has the id 0", "number annotations from 1: pycocotools never finds number 0"};
    case BoxProblem::kRepeatedImage:
      return {"images that are listed twice", "list each once: it would count twice"};
    case BoxProblem::kUnknownImage:
      return {"annotations of images that are not listed; they are left out", "list the image, or drop them"};
    case BoxProblem::kCorners:
      return {"boxes that look like two corners",
              "write a corner (COCO) or the centre (YOLO) with width and height, not two corners"};
    case BoxProblem::kDegenerate:
      return {"boxes without width or height; they are left out", "drop or redraw them"};
    case BoxProblem::kOutside:
      return {"boxes that reach out of the picture", "are they of a picture of another size, or of a turned one?"};
  }
  CheckFailed(__FILE__, __LINE__, "a BoxProblem", fmt::format("{}", static_cast<int>(problem)));
}

}  // namespace

std::string NameOf(BoxProblem problem) { return WordsOf(problem).name; }

std::string AdviceOn(BoxProblem problem) { return WordsOf(problem).advice; }

}  // namespace lockstep::data
