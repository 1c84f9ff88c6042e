#include "launch/export_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/weights_hash.h"

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

}  // namespace

int ExportCommand(const ExportOptions& options) {
  FileSystem& files = FileSystem::Real();
  const std::unique_ptr<Reader> reader = checkpoint::OpenPath(files, options.path);
  const checkpoint::Manifest& manifest = reader->manifest();
  const int array = ChooseArray(*reader, options.weights);
  std::vector<std::vector<float>> values;
  std::vector<checkpoint::NamedTensor> tensors;
  for (const checkpoint::Tensor& tensor : manifest.tensors()) {
    std::vector<float>& data = values.emplace_back(static_cast<size_t>(checkpoint::ElementsOf(tensor)));
    reader->Read(array, tensor.offset(), data);
    tensors.push_back({tensor.name(), checkpoint::ShapeOf(tensor), data});
  }
  const std::string hash = HashText(checkpoint::WeightsHash(*reader, array));
  // "format" is what loaders of the ecosystem look for: shapes and names are as PyTorch's.
  checkpoint::WriteSafetensors(files, options.file, tensors,
                               {{"format", "pt"},
                                {"lockstep_version", manifest.lockstep_version()},
                                {"step", std::to_string(manifest.step())},
                                {"recipe_hash", manifest.recipe_hash()},
                                {"weights", manifest.arrays(array)},
                                {"weights_hash", hash}});
  fmt::print("wrote {}: {} tensors of step {}, {}={}\n", options.file, tensors.size(), manifest.step(),
             manifest.arrays(array), hash);
  return 0;
}

void AddExportCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("export", "Write a checkpoint's weights as a safetensors file");
  auto options = std::make_shared<ExportOptions>();
  command->add_option("PATH", options->path, "a run folder (its newest good checkpoint) or a checkpoint folder")
      ->required();
  command->add_option("FILE", options->file, "the file to write, replaced where it exists")->required();
  command->add_option(
      "--weights", options->weights,
      "raw (as trained) or ema (their average). Default: what evaluation uses, ema where the run has it");
  command->footer(
      "Parameters and running statistics stand in the file under their own names, as float32.\n"
      "Examples:\n"
      "  lockstep export runs/mnist mnist.safetensors\n"
      "  lockstep export runs/mnist/checkpoints/step-00000200 early.safetensors --weights raw");
  command->callback([options, exit_code] { *exit_code = ExportCommand(*options); });
}

}  // namespace lockstep::launch
