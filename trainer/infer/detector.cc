#include "trainer/infer/detector.h"

#include <utility>

#include "data/boxes/pixel_map.h"
#include "trainer/infer/find_fcos_boxes.h"
#include "trainer/infer/sample_inputs.h"

namespace lockstep::infer {

DetectorForm CenterForm(const data::PictureFit& fit, int64_t stride, int categories) {
  return {fit, data::CellGrid::Of(fit.height(), fit.width(), stride, categories), categories};
}

DetectorForm FcosForm(const data::PictureFit& fit, int categories) {
  return {fit, data::FcosMapsOf(fit.height(), fit.width()), categories, kFcosFind};
}

std::vector<DetectorForm::Output> DetectorForm::outputs() const {
  const auto of_categories = static_cast<size_t>(categories);
  if (const auto* grid = std::get_if<data::CellGrid>(&cells)) {
    const auto count = static_cast<size_t>(grid->height * grid->width);
    return {{"center_logits", count * of_categories}, {"side_logits", count * 4}};
  }
  const auto count = static_cast<size_t>(data::CellsOf(std::get<1>(cells)));
  return {{"class_logits", count * of_categories}, {"side_values", count * 4}, {"centerness_logits", count}};
}

namespace {

/// `picture`: where it lies in the input.
std::vector<FoundBox> Find(const DetectorForm& form, std::span<const std::span<const float>> answers,
                           const data::Rectangle& picture) {
  if (const auto* grid = std::get_if<data::CellGrid>(&form.cells))
    return FindBoxes({answers[0], answers[1], grid->height, grid->width, form.categories, grid->stride}, form.find);
  const FcosAnswers fcos{answers[0], answers[1], answers[2], std::get<1>(form.cells), form.categories};
  return FindFcosBoxes(fcos, picture, form.find);
}

}  // namespace

std::vector<metrics::Detection> Detect(const DetectorForm& form, std::span<const std::span<const float>> answers,
                                       int64_t picture_height, int64_t picture_width) {
  const data::PixelMap map = data::MapOf(form.fit, picture_height, picture_width);
  const data::Rectangle all{0, 0, static_cast<double>(picture_width), static_cast<double>(picture_height)};
  std::vector<metrics::Detection> detections;
  for (const FoundBox& found : Find(form, answers, data::Moved(all, map))) {
    const data::Rectangle box = data::Cut(
        {map.x.From(found.left), map.y.From(found.top), map.x.From(found.right), map.y.From(found.bottom)}, all);
    if (!(box.area() > 0)) continue;
    detections.push_back(
        {{box.left, box.top, box.right - box.left, box.bottom - box.top}, found.category, found.score});
  }
  return detections;
}

namespace {

/// One thread at a time.
class Finder {
 public:
  Finder(const TrainedModel& model, std::shared_ptr<const data::Transform> transform, const DetectorForm& form)
      : inputs_(std::move(transform)), form_(form), program_(model.graphs().build(kRows, 0).graph, model.weights()) {}

  static constexpr int64_t kRows = 4;

  void Answer(const data::Dataset& samples, uint64_t first, uint64_t count,
              std::vector<std::vector<metrics::Detection>>& found) {
    inputs_.Fill(samples, first, count, program_);
    program_.Run();
    const std::vector<DetectorForm::Output> outputs = form_.outputs();
    std::vector<std::span<const float>> answers(outputs.size());
    data::SampleSize size;
    for (uint64_t i = 0; i < count; ++i) {
      samples.Measure(0, first + i, size);
      const data::AnnotatedPicture& picture = size.pictures.front();
      for (size_t k = 0; k < outputs.size(); ++k)
        answers[k] = program_.Output<float>(outputs[k].name).subspan(i * outputs[k].values, outputs[k].values);
      found[first + i] = Detect(form_, answers, picture.height, picture.width);
    }
  }

 private:
  SampleInputs inputs_;
  const DetectorForm& form_;
  InferenceProgram program_;
};

}  // namespace

std::vector<std::vector<metrics::Detection>> DetectAll(const TrainedModel& model,
                                                       const std::shared_ptr<const data::Transform>& transform,
                                                       const DetectorForm& form, const data::Dataset& samples,
                                                       int threads) {
  std::vector<std::vector<metrics::Detection>> found(samples.size());
  std::vector<AnswerBlock> workers;
  for (uint64_t i = 0; i < UsefulThreads(samples.size(), Finder::kRows, threads); ++i)
    workers.emplace_back([&, finder = std::make_shared<Finder>(model, transform, form)](
                             uint64_t first, uint64_t count) { finder->Answer(samples, first, count, found); });
  AnswerBlocks(samples.size(), Finder::kRows, workers);
  return found;
}

std::vector<metrics::Truth> TruthsOf(const data::AnnotatedPicture& picture) {
  std::vector<metrics::Truth> truths;
  for (const data::BoxAnnotation& box : picture.boxes)
    truths.push_back({{box.x, box.y, box.width, box.height}, box.category, box.area, box.crowd});
  return truths;
}

}  // namespace lockstep::infer
