#include "launch/answers/predict_pictures.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/error.h"
#include "data/image/picture_transform.h"
#include "data/open/make_transform.h"
#include "data/source_file.h"
#include "launch/answers/answer_names.h"
#include "launch/answers/picture_inputs.h"

namespace lockstep::launch {
namespace {

/// Files that are read when they are asked for; as the samples of data/pictures/picture_dataset.h, without a label.
class PictureFiles final : public data::Dataset {
 public:
  explicit PictureFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  uint64_t size() const override { return paths_.size(); }
  std::span<const data::Field> fields() const override {
    static const std::array<data::Field, 2> fields = {data::Field{"encoded", DType::kU8, Shape{-1}},
                                                      data::Field{"name", DType::kU8, Shape{-1}}};
    return fields;
  }
  uint64_t fingerprint() const override { return 0; }
  data::SampleText Describe(uint64_t, uint64_t id) const override { return {.name = paths_[id]}; }
  void Read(uint64_t, uint64_t id, data::Sample& sample) const override {
    const std::string& path = paths_[id];
    sample.tensors.resize(2);
    const std::vector<std::byte> bytes = data::LoadSourceFile({path, "INPUT"}, data::Kinds::kAny);
    sample.tensors[0].Assign(std::span<const std::byte>(bytes));
    sample.tensors[1].Assign(std::span<const char>(path.data(), path.size()));
  }

 private:
  const std::vector<std::string> paths_;
};

/// How pictures become what the model reads, whatever kind of images it was trained on.
data::DataConfig ConfigOf(const TrainedRun& run) {
  data::DataConfig config = data::ForAnswers(run.recipe.data());
  data::Pictures& pictures = *config.mutable_pictures();
  pictures.set_height(static_cast<uint32_t>(run.shape.sample[0]));
  pictures.set_width(static_cast<uint32_t>(run.shape.sample[1]));
  pictures.set_channels(static_cast<uint32_t>(run.shape.sample[2]));
  return config;
}

}  // namespace

void PredictPictures(const TrainedRun& run, const PicturesOptions& options,
                     const std::function<void(const std::string& lines)>& take) {
  constexpr uint64_t kAtOnce = 1024;  // so that the first answers come soon
  if (run.shape.classes > 0 && run.shape.sample[2] != 1 && run.shape.sample[2] != 3)
    throw Error(ErrorKind::kUsage, "the run's images have neither one nor three channels", run.recipe.name(),
                "lockstep eval says how good it is");
  AnswerColumns columns;
  columns.id = "picture";
  (run.shape.classes > 0 ? columns.classes : columns.targets) =
      run.shape.classes > 0 ? ClassNamesOf(run.recipe.data(), run.shape) : TargetNamesOf(run.recipe.data(), run.shape);
  const AnswerWriter writer(options.format, columns);
  const std::vector<std::string> paths = ListPictures(options.inputs);
  const std::shared_ptr<const data::Transform> transform =
      data::MakePictureTransform(PictureFiles({}).fields(), ConfigOf(run), run.recipe.train().seed());
  take(writer.Heading());
  for (uint64_t first = 0; first < paths.size(); first += kAtOnce) {
    const uint64_t count = std::min<uint64_t>(kAtOnce, paths.size() - first);
    const auto begin = paths.begin() + static_cast<ptrdiff_t>(first);
    const PictureFiles files(std::vector<std::string>(begin, begin + static_cast<ptrdiff_t>(count)));
    const std::vector<float> answers =
        infer::PredictAll(*run.model, transform, AnswerFormOf(run), files, options.threads);
    const size_t outputs = answers.size() / count;
    std::string lines;
    for (uint64_t i = 0; i < count; ++i)
      lines += writer.Line(paths[first + i], std::span(answers).subspan(i * outputs, outputs));
    take(lines);
  }
}

}  // namespace lockstep::launch
