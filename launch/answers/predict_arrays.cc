#include "launch/answers/predict_arrays.h"

#include <fmt/format.h>

#include <memory>
#include <span>

#include "base/error.h"
#include "data/formats/load_array.h"
#include "data/memory_dataset.h"
#include "data/open/make_transform.h"
#include "launch/answers/answer_names.h"

namespace lockstep::launch {
namespace {

/// Throws where the samples are no such as the run was trained on.
void RequireForm(const TrainedRun& run, const data::Field& field, const std::string& path) {
  const bool bytes = run.recipe.data().sample().bytes();
  if (field.name == run.shape.input && field.shape == run.shape.sample && (field.dtype == DType::kU8) == bytes) return;
  const auto text = [](const std::string& name, const Shape& shape, bool of_bytes) {
    return fmt::format("{} {}{}", name, shape.ToString(), of_bytes ? " of bytes" : "");
  };
  throw Error(ErrorKind::kData,
              fmt::format("its samples are {}, those of the training data are {}",
                          text(field.name, field.shape, field.dtype == DType::kU8),
                          text(run.shape.input, run.shape.sample, bytes)),
              path, "give arrays as they were trained on");
}

}  // namespace

bool IsArrayPath(const std::string& path) {
  return path.ends_with(".npy") || path.ends_with(".npz") || data::ArrayNameBegin(path) != path.npos;
}

void PredictArrays(const TrainedRun& run, const RowsOptions& options,
                   const std::function<void(const std::string& lines)>& take) {
  AnswerColumns columns;
  (run.shape.classes > 0 ? columns.classes : columns.targets) =
      run.shape.classes > 0 ? ClassNamesOf(run.recipe.data(), run.shape) : TargetNamesOf(run.recipe.data(), run.shape);
  const AnswerWriter writer(options.format, columns);
  const data::DataConfig config = data::ForAnswers(run.recipe.data());
  take(writer.Heading());
  data::ArrayLoader loader;
  uint64_t answered = 0;
  for (const std::string& path : options.inputs) {
    const data::MemoryDataset rows(data::ReadArrays(loader.Load({path, "INPUT"}), nullptr, nullptr, {}), {});
    RequireForm(run, rows.fields()[0], path);
    const std::shared_ptr<const data::Transform> transform =
        data::MakeTransform(rows.fields(), config, run.recipe.train().seed());
    const std::vector<float> answers =
        infer::PredictAll(*run.model, transform, AnswerFormOf(run), rows, options.threads);
    const size_t outputs = answers.size() / rows.size();
    std::string lines;
    for (uint64_t row = 0; row < rows.size(); ++row)
      lines += writer.Line(std::to_string(answered + row + 1), std::span(answers).subspan(row * outputs, outputs));
    answered += rows.size();
    take(lines);
  }
}

}  // namespace lockstep::launch
