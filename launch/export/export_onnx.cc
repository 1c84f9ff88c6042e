#include "launch/export/export_onnx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/build_info.h"
#include "base/error.h"
#include "base/files/file.h"
#include "data/image/image_transform.h"
#include "trainer/onnx/export/build_sizes.h"
#include "trainer/onnx/export/export_model.h"
#include "trainer/onnx/export/write_model.h"

namespace lockstep::launch {
namespace {

using checkpoint::NamedTensor;
/// Only arrays say whether they are of bytes; other images are.
DType InputType(const TrainedRun& run) {
  if (run.shape.input != "image") return DType::kF32;
  const bool floats = run.recipe.data().train().has_arrays() && !run.recipe.data().sample().bytes();
  return floats ? DType::kF32 : DType::kU8;
}

/// Images, and features of tables; of a model without data nothing is known.
bool IsNormalized(const TrainedRun& run) {
  if (!run.recipe.data().has_train()) return false;
  return run.shape.input == "image" || (run.shape.input == "features" && !run.shape.speech());
}

onnx::Rescaling InputRescaling(const TrainedRun& run) {
  const auto channels = static_cast<size_t>(run.shape.sample.dim(-1));
  const data::Normalizer normalizer = data::MakeNormalizer(run.recipe.data().normalize(), InputType(run), channels);
  return {run.shape.input, normalizer.scale, normalizer.mean, normalizer.deviation};
}

/// Answers in the targets' own unit.
onnx::Rescaling OutputRescaling(const TrainedRun& run) {
  const infer::AnswerForm form = AnswerFormOf(run);
  return {.name = "prediction",
          .mean = {form.mean.begin(), form.mean.end()},
          .deviation = {form.deviation.begin(), form.deviation.end()}};
}

std::string PreprocessingText(const onnx::Rescaling& by) {
  return fmt::format("{}: (x * {} - [{}]) / [{}]", by.name, by.scale, fmt::join(by.mean, ", "),
                     fmt::join(by.deviation, ", "));
}

onnx::ExportOptions OptionsOf(const TrainedRun& run, const std::map<std::string, std::string>& metadata,
                              const OnnxExport& options) {
  onnx::ExportOptions result{.half = options.half};
  // Graphs say themselves in which order their images are.
  const bool graph_first = run.recipe.model().graph().channels_first();
  result.channels_first_inputs = options.channels_first || graph_first;
  result.channels_first_outputs = options.channels_first && !graph_first;
  result.version = std::string(Version());
  result.metadata = metadata;
  result.left_out = {"path"};  // the largest logits' classes
  std::string done = "none";
  if (options.preprocessing && IsNormalized(run)) {
    result.inputs.push_back(InputRescaling(run));
    done = PreprocessingText(result.inputs.back());
    if (run.Predicts() && run.shape.classes == 0) {
      result.outputs.push_back(OutputRescaling(run));
      const onnx::Rescaling& by = result.outputs.back();
      if (!by.deviation.empty() || !by.mean.empty())
        done += fmt::format("; {}: y * [{}] + [{}]", by.name, fmt::join(by.deviation, ", "), fmt::join(by.mean, ", "));
    }
  }
  result.metadata["preprocessing"] = done;
  const auto& names = run.recipe.data().class_names();
  if (!names.empty())
    result.metadata["class_names"] = nlohmann::json(std::vector<std::string>(names.begin(), names.end())).dump();
  return result;
}

std::string Ends(const google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& infos) {
  std::vector<std::string> ends;
  for (const onnx::ValueInfoProto& info : infos) ends.push_back(onnx::Describe(info));
  return fmt::format("{}", fmt::join(ends, ", "));
}

}  // namespace

std::string WriteOnnx(const TrainedRun& run, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata, const std::string& path,
                      const OnnxExport& options) {
  const onnx::WeightsByName weights = [&](const std::string& name) {
    const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
    if (found != tensors.end()) return found->data;
    throw Error(ErrorKind::kCheckpoint, fmt::format("there is no tensor \"{}\"", name), "",
                "is the checkpoint of another run than the recipe.textproto above it?");
  };
  onnx::ModelProto model =
      onnx::ExportModel(onnx::BuildSizes(run.recipe.model(), run.shape), weights, OptionsOf(run, metadata, options));
  std::string line = fmt::format("opset {}, {}, {} -> {}", onnx::kExportOpset, options.half ? "float16" : "float32",
                                 Ends(model.graph().input()), Ends(model.graph().output()));
  const std::string second = onnx::WriteModel(FileSystem::Real(), path, std::move(model));
  if (!second.empty()) line += fmt::format("; its weights are in {}, which must stay beside it", second);
  return line;
}

}  // namespace lockstep::launch
