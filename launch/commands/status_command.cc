#include "launch/commands/status_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>

#include "base/duration.h"
#include "base/error.h"
#include "base/json_fields.h"
#include "launch/commands/commands.h"
#include "launch/recipe/recipe.h"
#include "launch/report/run_list.h"
#include "launch/report/total_steps.h"
#include "launch/supervise/launcher/child_process.h"
#include "trainer/records/run_folder_reader.h"
#include "trainer/records/run_state.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

constexpr auto kSqueueLimit = std::chrono::seconds(10);

/// 0: unknown. The pace of steps and epochs is that of `row`.
uint64_t TotalStepsIn(const records::RunFolderReader& files, const Json& row) {
  const double step = NumberOr(row, "step"), epoch = NumberOr(row, "epoch");
  try {
    return TotalSteps(ParseRecipe(files.Text("recipe.textproto"), "recipe.textproto", files.folder(), {}),
                      epoch > 0 ? step / epoch : 0);
  } catch (const Error&) {
    return 0;
  }
}

/// The last logged step, with the speed over the last rows.
void AddProgress(const records::RunFolderReader& files, Json& status) {
  Json last, evaluation;
  for (Json& row : files.LastRows("metrics.jsonl")) (row.contains("split") ? evaluation : last) = std::move(row);
  for (const char* name : {"step", "epoch", "loss", "accuracy", "samples_per_s", "learning_rate", "time"})
    if (last.contains(name)) status[std::string(name) == "time" ? "metrics_time" : name] = last[name];
  if (!evaluation.is_null()) status["evaluation"] = evaluation;
  if (const uint64_t total = TotalStepsIn(files, last.is_null() ? evaluation : last); total > 0)
    status["total_steps"] = total;
}

void AddAttempts(const records::RunFolderReader& files, Json& status) {
  const std::vector<Json> attempts = files.Rows("attempts.jsonl");
  status["attempts"] = attempts.size();
  if (!attempts.empty())
    for (const char* name : {"attempt", "host", "ranks", "from_step"})
      if (attempts.back().contains(name)) status["last_attempt"][name] = attempts.back()[name];
  int restarts = 0;
  Json failures = Json::array();
  for (const Json& row : files.Rows("supervisor.jsonl")) {
    if (TextOr(row, "event") != "end" || TextOr(row, "cause").empty()) continue;
    restarts += FieldOr(row, "restart", false);
    failures.push_back({{"cause", TextOr(row, "cause")},
                        {"host", TextOr(row, "host")},
                        {"message", TextOr(row, "message")},
                        {"time", NumberOr(row, "time")}});
  }
  status["restarts"] = restarts;
  if (!failures.empty()) status["failures"] = failures;
}

/// Numbers of Slurm jobs that work, or wait to work, in the folder.
std::set<std::string> SlurmJobs(const records::RunFolderReader& files) {
  std::set<std::string> jobs;
  if (const Json job = files.Object("job.json");
      job.is_object() && job.contains("slurm_jobs") && job["slurm_jobs"].is_array())
    for (const Json& id : job["slurm_jobs"])
      if (id.is_string()) jobs.insert(id.get<std::string>());
  jobs.insert(TextOr(files.Object("lease.json"), "slurm_job"));
  for (const Json& row : files.LastRows("supervisor.jsonl")) jobs.insert(TextOr(row, "slurm_job"));
  std::erase_if(jobs, [](const std::string& id) {
    return id.empty() || id.find_first_not_of("0123456789_") != std::string::npos;
  });
  return jobs;
}

/// What Slurm says of these jobs; of those it has forgotten, nothing.
void AddQueue(const records::RunFolderReader& files, Json& status) {
  const std::set<std::string> jobs = SlurmJobs(files);
  if (jobs.empty() || !IsOnPath("squeue")) return;
  Json queue = Json::array();
  for (const std::string& id : jobs) {
    const Captured said = RunForOutput({"squeue", "-h", "-o", "%i|%T|%M|%r", "-j", id}, kSqueueLimit);
    std::istringstream lines(said.code == 0 ? said.output : "");
    for (std::string line; std::getline(lines, line);) {
      std::vector<std::string> parts;
      std::istringstream words(line);
      for (std::string word; std::getline(words, word, '|');) parts.push_back(word);
      if (parts.size() == 4)
        queue.push_back({{"job", parts[0]}, {"state", parts[1]}, {"time", parts[2]}, {"reason", parts[3]}});
    }
  }
  if (!queue.empty()) status["queue"] = queue;
}

std::string Age(double seconds) { return InWords(std::max(0.0, seconds)) + " ago"; }

std::string ProgressLine(const Json& status) {
  const double step = NumberOr(status, "step"), total = NumberOr(status, "total_steps"),
               speed = NumberOr(status, "samples_per_s");
  std::string text = total > 0 ? fmt::format("step {:.0f} of {:.0f}", step, total) : fmt::format("step {:.0f}", step);
  if (status.contains("epoch")) text += fmt::format(", epoch {:.2f}", NumberOr(status, "epoch"));
  if (status.contains("loss")) text += fmt::format(", loss {:.4f}", NumberOr(status, "loss"));
  if (speed > 0) text += fmt::format(", {:.0f} samples/s", speed);
  if (status.contains("metrics_time"))
    text += fmt::format(" ({})", Age(NumberOr(status, "now") - NumberOr(status, "metrics_time")));
  return text;
}

std::string AttemptsLine(const Json& status) {
  const double attempts = NumberOr(status, "attempts"), restarts = NumberOr(status, "restarts");
  std::string text = attempts > 0 ? fmt::format("{:.0f}", attempts) : "none yet";
  if (status.contains("last_attempt")) {
    const Json& last = status["last_attempt"];
    text += fmt::format(", the last on {:.0f} rank{} from step {:.0f} (rank 0 on {})", NumberOr(last, "ranks"),
                        NumberOr(last, "ranks") == 1 ? "" : "s", NumberOr(last, "from_step"), TextOr(last, "host"));
  }
  if (restarts > 0) text += fmt::format("; {:.0f} restart{} by lockstep run", restarts, restarts == 1 ? "" : "s");
  return text;
}

}  // namespace

Json RunStatus(const std::string& path, double now) {
  const std::string folder = fs::absolute(path).lexically_normal().string();
  if (!records::IsRunFolder(folder))
    throw Error(ErrorKind::kUsage, "is no run's folder", path, "give what --out of lockstep train was, or runs/NAME");
  const records::RunFolderReader files(folder);
  const std::optional<records::AttemptEnding> ending = files.ReadEnding();
  Json status = {{"folder", folder}, {"now", now}, {"state", records::StateOfRun(files, now)}};
  if (ending) status["verdict"] = files.Object("verdict.json");
  AddProgress(files, status);
  if (const auto newest = files.FindNewestCheckpoint())
    status["checkpoint"] = {{"step", newest->step}, {"time", newest->written}};
  AddAttempts(files, status);
  AddQueue(files, status);
  return status;
}

std::string FormatStatus(const Json& status) {
  const double now = NumberOr(status, "now");
  std::string state = TextOr(status, "state");
  if (state == "failed") {
    const Json& verdict = status["verdict"];
    const std::string where = TextOr(verdict, "where");
    state += fmt::format(" with exit code {:.0f}: {}{}", NumberOr(verdict, "exit_code"),
                         where.empty() ? "" : where + ": ", TextOr(verdict, "message"));
  }
  if (state == "killed") state += ": it ended without a word";
  if (state == "waiting") state += ": nothing has begun";
  std::string text = fmt::format("{}\n  state       {}\n", TextOr(status, "folder"), state);
  if (status.contains("step") || status.contains("total_steps")) text += "  progress    " + ProgressLine(status) + "\n";
  if (status.contains("evaluation")) {
    const Json& row = status["evaluation"];
    text += fmt::format("  evaluation  {}: loss {:.4f}", TextOr(row, "split"), NumberOr(row, "loss"));
    if (row.contains("accuracy")) text += fmt::format(", accuracy {:.4f}", NumberOr(row, "accuracy"));
    text += fmt::format(" at step {:.0f}\n", NumberOr(row, "step"));
  }
  if (status.contains("checkpoint"))
    text += fmt::format("  checkpoint  step {:.0f}, {}\n", NumberOr(status["checkpoint"], "step"),
                        Age(now - NumberOr(status["checkpoint"], "time")));
  text += "  attempts    " + AttemptsLine(status) + "\n";
  if (status.contains("failures")) text += "  last cause  " + TextOr(status["failures"].back(), "message") + "\n";
  if (status.contains("queue"))
    for (const Json& job : status["queue"])
      text += fmt::format("  queue       job {} {} for {} ({})\n", TextOr(job, "job"), TextOr(job, "state"),
                          TextOr(job, "time"), TextOr(job, "reason"));
  return text;
}

namespace {

struct StatusOptions {
  std::string folder;
  bool as_json = false;
};

std::string StatusText(const StatusOptions& options, double now) {
  const std::string folder = options.folder.empty() ? "runs" : options.folder;
  if (options.folder.empty() || (!records::IsRunFolder(folder) && HoldsRuns(folder))) {
    const std::vector<ListedRun> runs = ListRuns(folder, now);
    return options.as_json ? DumpJson(RunsJson(runs), 2) + "\n" : FormatRuns(runs);
  }
  const Json status = RunStatus(folder, now);
  return options.as_json ? DumpJson(status, 2) + "\n" : FormatStatus(status);
}

}  // namespace

void AddStatusCommand(CLI::App& app, int* exit_code) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* command =
      app.add_subcommand("status", "Show what a run is doing: step, speed, last checkpoint, restarts, queue");
  command->add_option("DIR", options->folder, "A run's folder, or one with runs in it: a table. Default: runs");
  command->add_flag("--json", options->as_json, "One JSON object; of a table a list");
  command->footer("Examples:\n  lockstep status\n  lockstep status runs/mnist --json");
  command->callback([options, exit_code] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    std::fputs(StatusText(*options, std::chrono::duration<double>(now).count()).c_str(), stdout);
    *exit_code = 0;
  });
}

}  // namespace lockstep::launch
