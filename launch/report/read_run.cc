#include "launch/report/read_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "launch/page/axis.h"
#include "launch/report/total_steps.h"
#include "trainer/records/run_state.h"

namespace lockstep::launch {
namespace {

/// An absolute path without a slash at its end.
std::string Normal(const std::string& path) {
  std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  return folder.string();
}

void ReadRecipeOf(const records::RunFolderReader& files, RunRecord& run) {
  run.recipe_text = files.Text("recipe.textproto");
  run.name = std::filesystem::path(run.folder).filename().string();
  if (run.recipe_text.empty()) {
    run.notes.emplace_back("There is no recipe.textproto that can be read.");
    return;
  }
  try {
    run.recipe = ParseRecipe(run.recipe_text, "recipe.textproto", run.folder, {});
  } catch (const Error& error) {
    run.notes.push_back(fmt::format("recipe.textproto can't be read by this version: {}", error.what()));
    return;
  }
  if (!run.recipe->name().empty()) run.name = run.recipe->name();
}

void ReadRows(const records::RunFolderReader& files, RunRecord& run) {
  run.rows = ParseMetricRows(files.Text("metrics.jsonl"));
  run.discarded = ParseMetricRows(files.Text("metrics.discarded.jsonl")).times;
  if (run.rows.times.empty()) run.notes.emplace_back("There are no rows in metrics.jsonl yet.");
  if (run.rows.unreadable > 0)
    run.notes.push_back(fmt::format("{} line{} of metrics.jsonl could not be read and {} left out.",
                                    run.rows.unreadable, run.rows.unreadable == 1 ? "" : "s",
                                    run.rows.unreadable == 1 ? "is" : "are"));
  if (run.rows.not_finite > 0)
    run.notes.push_back(fmt::format("The training loss is not finite (NaN or infinite) in {} row{}, first at step {}.",
                                    run.rows.not_finite, run.rows.not_finite == 1 ? "" : "s",
                                    NumberText(run.rows.first_not_finite)));
  if (run.recipe) run.total_steps = TotalSteps(*run.recipe, run.rows.steps_per_epoch);
}

/// Starts in the order of their time, each with what is known of its end.
void ReadStarts(const records::RunFolderReader& files, RunRecord& run) {
  for (const Json& row : files.Rows("attempts.jsonl")) {
    for (const std::string& change : FieldOr<std::vector<std::string>>(row, "changed", {}))
      run.notes.push_back(
          fmt::format("From step {} on it is another run than the one that began, by --change recipe: {}.",
                      FieldOr<uint64_t>(row, "from_step", 0), change));
    run.starts.push_back({FieldOr<uint32_t>(row, "attempt", 0), FieldOr<uint64_t>(row, "from_step", 0),
                          FieldOr(row, "ranks", 0), TextOr(row, "host"), NumberOr(row, "time"), ""});
  }
  // The supervisor's words are on the start that it made before them; attempts.jsonl has whole seconds.
  double made = 0;
  for (const Json& row : files.Rows("supervisor.jsonl")) {
    const std::string event = TextOr(row, "event");
    if (event == "start") made = std::floor(NumberOr(row, "time"));
    if (event != "end") continue;
    const double ended = NumberOr(row, "time");
    const auto of = std::find_if(run.starts.begin(), run.starts.end(), [&](const RunStart& start) {
      return start.time >= made && start.time <= ended && start.ending.empty();
    });
    if (of != run.starts.end()) of->ending = TextOr(row, "message");
  }
  if (!run.ending) return;
  for (RunStart& start : run.starts)
    if (start.attempt == run.ending->attempt && start.ending.empty())
      start.ending = run.ending->kind ? run.ending->message : "done";
}

}  // namespace

RunRecord ReadRun(const std::string& path, double now) {
  RunRecord run;
  run.folder = Normal(path);
  if (!records::IsRunFolder(run.folder)) run.folder = records::RunFolderOf(path);
  run.now = now;
  const records::RunFolderReader files(run.folder);
  run.state = records::StateOfRun(files, now);
  run.ending = files.ReadEnding();
  run.result_line = TextOr(files.Object("done.json"), "line");
  ReadRecipeOf(files, run);
  ReadRows(files, run);
  ReadStarts(files, run);
  run.checkpoints = files.Checkpoints();
  if (const std::string text = files.Text("evaluation.json"); !text.empty()) {
    run.evaluation = records::ParseEvaluation(text);
    if (!run.evaluation) run.notes.emplace_back("evaluation.json can't be read.");
  }
  return run;
}

}  // namespace lockstep::launch
