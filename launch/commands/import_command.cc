// `lockstep import MODEL.onnx`: a model of another framework, as a recipe and weights.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "launch/commands/commands.h"
#include "launch/commands/standard_streams.h"
#include "launch/import/import_model.h"

namespace lockstep::launch {
namespace {

/// "time=128".
std::pair<std::string, int64_t> ParseDim(const std::string& text) {
  const size_t equals = text.rfind('=');
  int64_t size = 0;
  const char* end = text.data() + text.size();
  const bool whole = equals != std::string::npos && equals > 0 &&
                     std::from_chars(text.data() + equals + 1, end, size).ptr == end && size > 0;
  if (!whole)
    throw Error(ErrorKind::kUsage, fmt::format("--dim {} is no NAME=SIZE", text), "", "for instance --dim time=128");
  return {text.substr(0, equals), size};
}

int Import(ImportModelOptions options, const std::vector<std::string>& dims) {
  for (const std::string& dim : dims) options.dims.insert(ParseDim(dim));
  const ImportedFolder made = ImportModel(options);
  fmt::print("{}wrote {}: recipe.textproto, weights.safetensors, import.txt; now:\n", made.report, made.folder);
  if (options.data.empty())
    fmt::print("  add to {}/recipe.textproto what it is trained on (lockstep new DATA makes such a section), and\n",
               made.folder);
  fmt::print("  lockstep train {}/recipe.textproto\n", made.folder);
  fmt::print("  lockstep predict {} INPUT answers with what it has learned so far\n", made.folder);
  FlushStandardOutput();
  return 0;
}

}  // namespace

void AddImportCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      app.add_subcommand("import", "Write a recipe and weights for a model of another framework (ONNX)");
  auto options = std::make_shared<ImportModelOptions>();
  auto dims = std::make_shared<std::vector<std::string>>();
  command->add_option("MODEL", options->path, "an .onnx file; weights that lie beside it are read, too")->required();
  command->add_option("--out", options->out, "the folder (default: the model's name in the working directory)");
  command
      ->add_option(
          "--dim", *dims,
          "NAME=SIZE: the size of a dimension that the file leaves open, such as time=128; the batch stays open")
      ->allow_extra_args(false);
  command
      ->add_option("--data", options->data,
                   "what it is to be trained on, as `lockstep new` takes it; may be given again")
      ->allow_extra_args(false);
  command->add_flag("--force", options->force, "replace files that are there");
  command->footer(
      "For training, export with\n"
      "  torch.onnx.export(model.train(), args, \"model.onnx\", dynamo=True, optimize=False,\n"
      "                    dynamic_shapes=({0: \"batch\"},))\n"
      "Files that were made for inference are read, too; a warning says what they lack.\n"
      "Examples:\n"
      "  lockstep import resnet18.onnx --data pictures/\n"
      "  lockstep import gpt2.onnx --dim time=128 --out gpt2");
  command->callback([options, dims, exit_code] { *exit_code = Import(*options, *dims); });
}

}  // namespace lockstep::launch
