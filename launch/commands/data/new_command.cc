// `lockstep new FILE|FOLDER...`: a recipe for somebody's own data.
#include "launch/commands/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/standard_streams.h"
#include "launch/draft/draft_data.h"

namespace lockstep::launch {
namespace {

struct NewOptions {
  DraftOptions draft;
  std::vector<std::string> paths;
  std::string out;
  bool force = false;
};

/// "breast_cancer" of "/data/breast_cancer.csv.gz".
std::string NameOf(const std::string& path) {
  std::filesystem::path whole = std::filesystem::path(path).lexically_normal();
  if (whole.filename().empty()) whole = whole.parent_path();
  std::string name = whole.filename().string();
  name = name.substr(0, name.find('.', 1));
  return name.empty() || name == "." ? "run" : name;
}

int New(NewOptions options) {
  DraftOptions& draft = options.draft;
  draft.name = NameOf(options.paths.front());
  const std::string out = options.out.empty() ? draft.name + ".textproto" : options.out;
  draft.folder = std::filesystem::path(out).parent_path().string();
  const Draft made = DraftData(options.paths, draft);
  FileSystem& files = FileSystem::Real();
  if (options.force) {
    WriteFileAtomically(files, out, made.recipe);
  } else if (!WriteNewFileAtomically(files, out, made.recipe)) {
    throw Error(ErrorKind::kUsage, "there is such a file already", out,
                "give --out another name, or --force to replace it");
  }
  for (const std::string& note : made.notes) fmt::print(stderr, "note: {}\n", note);
  fmt::print("wrote {}; now:\n", out);
  for (const char* command : {"data check", "train"}) fmt::print("  lockstep {} {}\n", command, out);
  fmt::print("  lockstep {}\n", fmt::format(fmt::runtime(made.answer), fmt::arg("run", "runs/" + draft.name)));
  FlushStandardOutput();
  return 0;
}

}  // namespace

void AddNewCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("new", "Write a recipe for data of your own: it looks at them first");
  auto options = std::make_shared<NewOptions>();
  command
      ->add_option(
          "DATA", options->paths,
          "a CSV file; a folder with a folder of pictures for each class; pictures with boxes (a folder of Pascal VOC, "
          "COCO's JSON, YOLO's data.yaml, or the folder that has it); a text; NumPy's arrays (.npz); token files "
          "(.bin); a manifest "
          "of recordings; or two files of sentences and their translations")
      ->required();
  command->add_option("--label", options->draft.label, "of a table: the column of the class (default: it is found)");
  command
      ->add_option("--target", options->draft.targets,
                   "of a table: a column of a value to be predicted; may be given again")
      ->allow_extra_args(false);
  command
      ->add_option("--task", options->draft.task, "of a table: classification or regression (default: by the column)")
      ->check(OneOf({"classification", "regression"}));
  command->add_option("--out", options->out, "the recipe (default: NAME.textproto in the working directory)");
  command->add_flag("--force", options->force, "replace the file if it is there");
  command->footer(
      "Each line of the recipe says why it is there; change what you know better.\n"
      "Examples:\n"
      "  lockstep new breast_cancer.csv\n"
      "  lockstep new houses.csv --target price --out houses.textproto\n"
      "  lockstep new pictures/\n"
      "  lockstep new instances_train.json");
  command->callback([options, exit_code] { *exit_code = New(*options); });
}

}  // namespace lockstep::launch
