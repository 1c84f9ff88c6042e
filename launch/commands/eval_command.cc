// lockstep eval: what a trained run is worth, on any number of ranks.
#include "launch/commands/commands.h"
#include "launch/commands/standard_streams.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/log.h"
#include "comm/agreement.h"
#include "launch/answers/examination.h"
#include "launch/command_line/option_checks.h"
#include "launch/commands/errors.h"
#include "launch/job/gpu.h"
#include "launch/job/job_setup.h"
#include "launch/job/ranks.h"
#include "launch/recipe/resolve_recipe.h"
#include "trainer/metrics/metric_tables.h"
#include "trainer/records/detection_json.h"
#include "trainer/records/evaluation_record.h"
#include "trainer/records/run_folder_reader.h"
#include "trainer/run/evaluate_checkpoint.h"
#include "trainer/run/progress/reporter.h"

namespace lockstep::launch {
namespace {

struct EvalOptions {
  std::string path;
  std::vector<std::string> settings;
  int executors = 0;
  bool json = false, brief = false;
};

std::map<std::string, double> MetricsOf(const run::ResultLine& line) {
  std::map<std::string, double> metrics = {{"loss", line.evaluation.loss()}};
  metrics.insert(line.evaluation.metrics().begin(), line.evaluation.metrics().end());
  return metrics;
}

/// For `lockstep report`. Who may not write in the run's folder has the numbers on the terminal all the same.
void Keep(const EvalOptions& options, const records::SplitRecord& record) {
  try {
    records::WriteEvaluation(FileSystem::Real(), records::RunFolderOf(options.path),
                             {.time = std::time(nullptr), .splits = {record}});
  } catch (const Error& error) {
    LogWarning("evaluation.json, which lockstep report shows, can't be written: {}", error.what());
  }
}

void PrintJson(const run::ResultLine& line, const records::SplitRecord& record) {
  Json json = {{"name", line.name},
               {"split", record.split},
               {"step", line.step},
               {"epoch", line.epoch},
               {"weights", fmt::format("{:016x}", line.weights)},
               {"metrics", record.metrics}};
  if (record.classification)
    json["classification"] = records::ClassificationJson(*record.classification, record.classes);
  if (record.regression) json["regression"] = records::RegressionJson(*record.regression, record.targets);
  if (record.detection) json["detection"] = records::DetectionJson(*record.detection, record.classes);
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void Show(const EvalOptions& options, const run::Job& job, const run::ResultLine& line,
          const Examination* examination) {
  records::SplitRecord record{.split = line.evaluation.split(), .step = line.step};
  if (examination != nullptr) record = examination->Examine({*job.splits.reported(), record.split, line.step});
  record.metrics = MetricsOf(line);
  if (examination != nullptr) Keep(options, record);
  if (options.json) return PrintJson(line, record);
  fmt::print("{}\n", run::Format(line));
  if (record.classification) fmt::print("\n{}", metrics::FormatTable(*record.classification, record.classes));
  if (record.regression) fmt::print("\n{}", metrics::FormatTable(*record.regression, record.targets));
  if (record.detection) fmt::print("\n{}", metrics::FormatTable(*record.detection, record.classes));
}

int Eval(const EvalOptions& options) {
  return RunRanks([&](comm::Communicator& comm) {
    run::Job job;
    comm::Together(comm, "the set-up", [&] {
      Recipe recipe = ReadRecipe(records::RunFolderOf(options.path) + "/recipe.textproto", options.settings);
      ResolveRecipe(recipe, FactsOfGpus(recipe));
      job = MakeJob(recipe, comm);
    });
    if (!job.place.device) job.place.executors = options.executors;
    std::optional<Examination> examination;
    const models::DataShape shape = DataShapeOf(job.splits);
    if (!options.brief && Examination::IsPossible(job.model.task, shape)) {
      examination.emplace(job.config.data, shape, job.model.task);
      job.make_scorer = examination->Keep(job.make_scorer);
    }
    const run::ResultLine line =
        run::EvaluateCheckpoint(job, options.path, {.terminal = OnTerminal(), .quiet = comm.rank() > 0});
    if (examination) examination->Collect(comm, job.splits.reported()->size());
    comm::Together(comm, "the details", [&] {
      if (comm.rank() == 0) Show(options, job, line, examination ? &*examination : nullptr);
      FlushStandardOutput();
    });
    return 0;
  });
}

}  // namespace

void AddEvalCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Evaluate a run's newest checkpoint, or a given one");
  command->add_option("PATH", options->path, "A run's folder, or a checkpoint inside one")->required();
  command
      ->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe, e.g. data.test.idx.images=FILE")
      ->allow_extra_args(false);
  command->add_option("--executors", options->executors, "Threads that evaluate, on each rank (default: 1)")
      ->check(WholeNumber(1));
  command->add_flag("--json", options->json, "Print all numbers as a JSON object");
  command->add_flag("--brief", options->brief,
                    "Only the line: no numbers by class or target, and no worst answers for the report");
  command->footer(
      "Of classes it says precision, recall, F1 and AUC, who was taken for whom, and how well probabilities are\n"
      "calibrated (ECE); of values R2 and errors in their unit; of boxes COCO's numbers. lockstep report shows them.\n"
      "Examples:\n"
      "  lockstep eval runs/digits\n"
      "  lockstep eval runs/digits --json > digits.json");
  command->callback([options, exit_code] { *exit_code = Eval(*options); });
}

}  // namespace lockstep::launch
