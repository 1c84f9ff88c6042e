#include "launch/answers/predict_arrays.h"

#include <fmt/format.h>

#include <memory>
#include <span>
#include <utility>

#include "base/error.h"
#include "data/formats/npy.h"
#include "data/open/make_transform.h"
#include "launch/answers/answer_names.h"
#include "trainer/infer/output_arrays.h"

namespace lockstep::launch {
namespace {

std::shared_ptr<const data::Transform> TransformOf(const TrainedRun& run, const data::Dataset& rows) {
  return data::MakeTransform(rows.fields(), data::ForAnswers(run.recipe.data()), run.recipe.train().seed());
}

/// Logits become probabilities, and predictions values in the targets' unit.
void MakeAnswers(const TrainedRun& run, bool probabilities, infer::OutputArray& output) {
  const bool logits = output.name == "logits", values = output.name == "prediction" && run.shape.targets > 0;
  if (output.dtype != DType::kF32 || output.shape.rank() < 2 || (logits ? !probabilities : !values)) return;
  infer::AnswerForm form = AnswerFormOf(run);
  form.classes = logits;
  const std::span<float> all(reinterpret_cast<float*>(output.values.data()), output.values.size() / sizeof(float));
  const auto width = static_cast<size_t>(output.shape.dim(-1));
  for (size_t at = 0; at < all.size(); at += width) form.Answer(all.subspan(at, width), all.subspan(at, width));
}

}  // namespace

void PredictArrays(const TrainedRun& run, const RowsOptions& options,
                   const std::function<void(const std::string& lines)>& take) {
  if (run.shape.classes == 0 && run.shape.targets == 0)
    throw Error(ErrorKind::kUsage, "the model's answers are neither classes nor values of a row", run.recipe.name(),
                "write them as arrays: --out FILE.npy");
  AnswerColumns columns;
  (run.shape.classes > 0 ? columns.classes : columns.targets) =
      run.shape.classes > 0 ? ClassNamesOf(run.recipe.data(), run.shape) : TargetNamesOf(run.recipe.data(), run.shape);
  const AnswerWriter writer(options.format, columns);
  take(writer.Heading());
  uint64_t answered = 0;
  for (const auto& rows : OpenArrayInputs(run, options.inputs)) {
    const std::vector<float> answers =
        infer::PredictAll(*run.model, TransformOf(run, *rows), AnswerFormOf(run), *rows, options.threads);
    const size_t outputs = answers.size() / rows->size();
    std::string lines;
    for (uint64_t row = 0; row < rows->size(); ++row)
      lines += writer.Line(std::to_string(answered + row + 1), std::span(answers).subspan(row * outputs, outputs));
    answered += rows->size();
    take(lines);
  }
}

std::vector<ArrayFile> PredictArrayFiles(const TrainedRun& run, const ArrayAnswersOptions& options) {
  std::vector<infer::OutputArray> all;
  for (const auto& rows : OpenArrayInputs(run, options.inputs)) {
    std::vector<infer::OutputArray> outputs =
        infer::PredictOutputs(*run.model, TransformOf(run, *rows), *rows, options.threads);
    if (all.empty()) {
      all = std::move(outputs);
      continue;
    }
    for (size_t i = 0; i < all.size(); ++i) {
      const int64_t samples = all[i].shape[0] + outputs[i].shape[0];
      all[i].shape = Shape(all[i].shape.dims().subspan(1)).Batched(samples);
      all[i].values.insert(all[i].values.end(), outputs[i].values.begin(), outputs[i].values.end());
    }
  }
  std::vector<ArrayFile> files;
  for (infer::OutputArray& output : all) {
    MakeAnswers(run, options.probabilities, output);
    CHECK(output.dtype == DType::kF32 || output.dtype == DType::kI32, "{} is {}", output.name, Name(output.dtype));
    files.push_back(
        {output.name, data::NpyHeaderBytes(output.dtype == DType::kF32 ? "<f4" : "<i4", output.shape.dims())});
    files.back().bytes.append(reinterpret_cast<const char*>(output.values.data()), output.values.size());
  }
  return files;
}

}  // namespace lockstep::launch
