#include "launch/report/run_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "base/duration.h"
#include "base/error.h"
#include "launch/recipe/recipe.h"
#include "launch/report/total_steps.h"
#include "trainer/records/run_folder_reader.h"
#include "trainer/records/run_state.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

/// What people look at first, of a row.
std::string MeasureOf(const Json& row) {
  const std::string split = TextOr(row, "split");
  for (const char* name : {"accuracy", "ap50", "wer", "cer", "bleu", "perplexity", "r2", "loss"})
    if (row.is_object() && row.contains(name))
      return fmt::format("{}{}{} {:.4f}", split, split.empty() ? "" : " ", name, NumberOr(row, name, std::nan("")));
  return "";
}

/// Folders under `folder`, sorted by name. Throws Error(kUsage).
std::vector<fs::path> FoldersIn(const std::string& folder) {
  std::vector<fs::path> folders;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->path().filename().string().starts_with('.'))
      folders.push_back(entry->path());
  }
  if (failed)
    throw Error(ErrorKind::kUsage, fmt::format("can't be listed: {}", failed.message()), folder,
                "go to the folder that has runs/ in it (lockstep train makes it), or name a run's folder: lockstep "
                "status DIR");
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// Seconds since 1970 when one of the files that a run keeps writing was last written; 0: there is none.
double LastWritten(const fs::path& folder) {
  double last = 0;
  for (const char* name : {"metrics.jsonl", "lease.json", "verdict.json", "attempts.jsonl", "recipe.textproto"}) {
    std::error_code failed;
    const auto time = fs::last_write_time(folder / name, failed);
    if (failed) continue;
    const auto since = std::chrono::file_clock::to_sys(time).time_since_epoch();
    last = std::max(last, std::chrono::duration<double>(since).count());
  }
  return last;
}

void ReadRecipeAndLength(const records::RunFolderReader& files, const Json& row, ListedRun& run) {
  const std::string text = files.Text("recipe.textproto");
  if (text.empty()) {
    // What waits to begin has none yet.
    if (run.state == "waiting" && records::IsRunFolder(files.folder())) return;
    run.state = "damaged";
    run.problem = "there is no recipe.textproto in it that can be read";
    return;
  }
  try {
    const double step = NumberOr(row, "step"), epoch = NumberOr(row, "epoch");
    run.total_steps =
        TotalSteps(ParseRecipe(text, "recipe.textproto", files.folder(), {}), epoch > 0 ? step / epoch : 0);
  } catch (const Error& error) {
    run.state = "damaged";
    run.problem = error.what();
  }
}

ListedRun Look(const fs::path& folder, double now) {
  const records::RunFolderReader files(folder.string());
  ListedRun run;
  run.name = folder.filename().string();
  run.state = records::StateOfRun(files, now);
  Json last, evaluation;
  for (Json& row : files.LastRows("metrics.jsonl")) {
    run.step = std::max(run.step, FieldOr<uint64_t>(row, "step", 0));
    if (row.contains("split")) evaluation = row;
    last = std::move(row);
  }
  if (const auto checkpoint = files.FindNewestCheckpoint()) run.step = std::max(run.step, checkpoint->step);
  run.last = MeasureOf(evaluation.is_null() ? last : evaluation);
  if (const double written = LastWritten(folder); written > 0) run.age = std::max(0.0, now - written);
  ReadRecipeAndLength(files, last, run);
  return run;
}

}  // namespace

std::vector<ListedRun> ListRuns(const std::string& folder, double now) {
  std::vector<ListedRun> runs;
  for (const fs::path& path : FoldersIn(folder)) runs.push_back(Look(path, now));
  const auto age = [](const ListedRun& run) { return run.age < 0 ? 1e18 : run.age; };
  std::stable_sort(runs.begin(), runs.end(), [&](const auto& a, const auto& b) { return age(a) < age(b); });
  return runs;
}

bool HoldsRuns(const std::string& folder) {
  try {
    const std::vector<fs::path> folders = FoldersIn(folder);
    return std::any_of(folders.begin(), folders.end(),
                       [](const fs::path& path) { return records::IsRunFolder(path.string()); });
  } catch (const Error&) {
    return false;
  }
}

std::string FormatRuns(const std::vector<ListedRun>& runs) {
  if (runs.empty()) return "there are no runs\n";
  std::vector<std::vector<std::string>> rows = {{"run", "state", "step", "last", "written"}};
  for (const ListedRun& run : runs) {
    std::string step = run.step > 0 ? std::to_string(run.step) : "-";
    if (run.total_steps > 0) step += fmt::format(" of {}", run.total_steps);
    rows.push_back(
        {run.name, run.state, step, run.last.empty() ? "-" : run.last, run.age < 0 ? "-" : InWords(run.age) + " ago"});
  }
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t i = 0; i < rows[r].size(); ++i) text += fmt::format("{:<{}}  ", rows[r][i], widths[i]);
    if (r > 0 && !runs[r - 1].problem.empty()) text += runs[r - 1].problem;
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

Json RunsJson(const std::vector<ListedRun>& runs) {
  Json list = Json::array();
  for (const ListedRun& run : runs) {
    Json object = {{"name", run.name}, {"state", run.state}, {"step", run.step}, {"last", run.last}};
    if (run.total_steps > 0) object["total_steps"] = run.total_steps;
    if (run.age >= 0) object["age"] = run.age;
    if (!run.problem.empty()) object["problem"] = run.problem;
    list.push_back(std::move(object));
  }
  return list;
}

}  // namespace lockstep::launch
