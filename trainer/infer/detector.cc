#include "trainer/infer/detector.h"

#include <utility>

#include "data/boxes/pixel_map.h"
#include "trainer/infer/sample_inputs.h"

namespace lockstep::infer {

std::vector<metrics::Detection> Detect(const DetectorForm& form, std::span<const float> center_logits,
                                       std::span<const float> side_logits, int64_t picture_height,
                                       int64_t picture_width) {
  const data::PixelMap map = data::MapOf(form.fit, picture_height, picture_width);
  const data::Rectangle all{0, 0, static_cast<double>(picture_width), static_cast<double>(picture_height)};
  const CenterMaps maps{center_logits, side_logits, form.height, form.width, form.categories, form.stride};
  std::vector<metrics::Detection> detections;
  for (const FoundBox& found : FindBoxes(maps, form.find)) {
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
    const std::span<const float> centers = program_.Output<float>("center_logits");
    const std::span<const float> sides = program_.Output<float>("side_logits");
    const size_t center_row = centers.size() / kRows, side_row = sides.size() / kRows;
    data::SampleSize size;
    for (uint64_t i = 0; i < count; ++i) {
      samples.Measure(0, first + i, size);
      const data::AnnotatedPicture& picture = size.pictures.front();
      found[first + i] = Detect(form_, centers.subspan(i * center_row, center_row),
                                sides.subspan(i * side_row, side_row), picture.height, picture.width);
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
