#include "launch/commands/export_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "launch/commands/commands.h"
#include "launch/export/export_hugging_face.h"
#include "launch/recipe/recipe.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/weights_hash.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {
namespace {

using checkpoint::Reader;

int ChooseArray(const Reader& reader, const std::string& weights) {
  if (weights.empty()) return reader.EvaluatedArray();
  const int array = reader.ArrayIndex(weights == "raw" ? "weights" : weights);
  if (array < 0) {
    throw Error(ErrorKind::kUsage,
                fmt::format("the checkpoint has no weights '{}'; it has {}", weights,
                            checkpoint::ArrayNames(reader.manifest())),
                reader.folder(), "choose with --weights, or leave it out for those that evaluation uses");
  }
  return array;
}

struct Weights {
  std::vector<std::vector<float>> values;
  std::vector<checkpoint::NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};

Weights ReadArray(const Reader& reader, int array) {
  const checkpoint::Manifest& manifest = reader.manifest();
  Weights weights;
  for (const checkpoint::Tensor& tensor : manifest.tensors()) {
    std::vector<float>& data = weights.values.emplace_back(static_cast<size_t>(checkpoint::ElementsOf(tensor)));
    reader.Read(array, tensor.offset(), data);
    weights.tensors.push_back({tensor.name(), checkpoint::ShapeOf(tensor), data});
  }
  // "format" is what loaders of the ecosystem look for.
  weights.metadata = {{"format", "pt"},
                      {"step", std::to_string(manifest.step())},
                      {"recipe_hash", manifest.recipe_hash()},
                      {"weights", manifest.arrays(array)},
                      {"weights_hash", HashText(checkpoint::WeightsHash(reader, array))}};
  return weights;
}

Recipe ReadRecipeOf(const Reader& reader) {
  return ReadRecipe(records::RunFolderOf(reader.folder()) + "/recipe.textproto", {});
}

void WriteFile(const std::string& path, const Reader& reader, Weights& weights) {
  // This tells train.init_from whose names and layout these are, so that it takes them as they stand.
  weights.metadata["lockstep_version"] = reader.manifest().lockstep_version();
  checkpoint::WriteSafetensors(FileSystem::Real(), path, weights.tensors, weights.metadata);
}

constexpr std::string_view kOnnxSuffix = ".onnx";

void RequireOnnxTarget(const ExportOptions& options) {
  const OnnxExport& onnx = options.onnx;
  if (options.target.ends_with(kOnnxSuffix) || !(onnx.half || onnx.channels_first || !onnx.preprocessing)) return;
  throw Error(ErrorKind::kUsage, "--half, --channels-first and --no-preprocessing are of ONNX files", options.target,
              "end its name in .onnx, or leave them out");
}

/// The weights of a model that no run has trained yet, as it was imported.
void ExportImported(const ExportOptions& options) {
  if (!options.target.ends_with(kOnnxSuffix) || !options.weights.empty())
    throw Error(ErrorKind::kUsage, "no run has trained it: it goes out as an ONNX file, with the weights it has",
                options.path, "end the target's name in .onnx, and leave out --weights");
  const TrainedRun run = OpenTrainedRun(options.path);
  const infer::Weights weights = run.model->weights();
  std::vector<checkpoint::NamedTensor> tensors;
  for (const engine::ArenaEntry& entry : weights.layout.entries())
    tensors.push_back({entry.name, entry.shape, {weights.arena + entry.offset, static_cast<size_t>(entry.size())}});
  const std::string about = WriteOnnx(run, tensors, {}, options.target, options.onnx);
  fmt::print("wrote {}: {} tensors, as they were imported\n{}\n", options.target, tensors.size(), about);
}

}  // namespace

int ExportCommand(const ExportOptions& options) {
  RequireOnnxTarget(options);
  if (IsImported(options.path)) {
    ExportImported(options);
    return 0;
  }
  const std::unique_ptr<Reader> reader = checkpoint::OpenPath(FileSystem::Real(), options.path);
  const checkpoint::Manifest& manifest = reader->manifest();
  const int array = ChooseArray(*reader, options.weights);
  Weights weights;
  std::string aside, about;
  if (options.target.ends_with(".safetensors")) {
    weights = ReadArray(*reader, array);
    WriteFile(options.target, *reader, weights);
  } else if (options.target.ends_with(kOnnxSuffix)) {
    const TrainedRun run = DescribeRun(ReadRecipeOf(*reader));
    weights = ReadArray(*reader, array);
    weights.metadata.erase("format");
    about = WriteOnnx(run, weights.tensors, weights.metadata, options.target, options.onnx);
  } else {
    const Recipe recipe = ReadRecipeOf(*reader);
    CheckHuggingFaceExport(recipe, options.target, options.force);
    weights = ReadArray(*reader, array);
    aside = WriteHuggingFaceFolder(recipe, weights.tensors, weights.metadata, options.target, options.force);
  }
  if (!aside.empty()) fmt::print("what was there is now {}\n", aside);
  fmt::print("wrote {}: {} tensors of step {}, {}={}\n", options.target, manifest.tensors_size(), manifest.step(),
             manifest.arrays(array), weights.metadata["weights_hash"]);
  if (!about.empty()) fmt::print("{}\n", about);
  return 0;
}

void AddExportCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand(
      "export", "Write a trained model as an ONNX or safetensors file, or as a folder for transformers");
  auto options = std::make_shared<ExportOptions>();
  command
      ->add_option("PATH", options->path,
                   "a run folder (its newest good checkpoint), a checkpoint folder, or what import has written")
      ->required();
  command
      ->add_option("TARGET", options->target,
                   "FILE.onnx or FILE.safetensors, replaced where it exists; any other name is a folder for Hugging "
                   "Face's transformers (models of the family gpt)")
      ->required();
  command->add_option(
      "--weights", options->weights,
      "raw (as trained) or ema (their average). Default: what evaluation uses, ema where the run has it");
  command->add_flag("--force", options->force, "a folder that is there and not empty is moved aside, to TARGET.old");
  command->add_flag("--half", options->onnx.half,
                    "ONNX: weights and computation in float16; inputs and outputs stay float32");
  command->add_flag(
      "--channels-first", options->onnx.channels_first,
      "ONNX: images are [batch, channels, height, width], as in PyTorch. Default: channels last, as in the "
      "data");
  command->add_flag("!--no-preprocessing", options->onnx.preprocessing,
                    "ONNX: leave the recipe's normalisation out: inputs are what the model itself reads");
  command->footer(
      "FILE.onnx holds the model with its weights (opset 17; beyond 1.5 GiB they are in FILE.onnx.data): from images\n"
      "or features as the data have them, tokens or lengths (int64) to logits, values or maps of boxes.\n"
      "FILE.safetensors holds parameters and running statistics under their own names, as float32; train { init_from "
      "}\n"
      "takes it.\n"
      "A folder is for AutoModelForCausalLM and AutoTokenizer.from_pretrained(FOLDER): GPT-2's names and layout,\n"
      "config.json, and the tokenizer that data.tokenizer names.\n"
      "Examples:\n"
      "  lockstep export runs/mnist mnist.safetensors\n"
      "  lockstep export runs/mnist/checkpoints/step-00000200 early.safetensors --weights raw\n"
      "  lockstep export runs/mnist mnist.onnx --half\n"
      "  lockstep export runs/shakespeare shakespeare-hf");
  command->callback([options, exit_code] { *exit_code = ExportCommand(*options); });
}

}  // namespace lockstep::launch
