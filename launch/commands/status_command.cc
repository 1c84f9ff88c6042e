#include "launch/commands/status_command.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "base/duration.h"
#include "base/error.h"
#include "launch/commands/commands.h"
#include "launch/recipe/recipe.h"
#include "launch/supervise/child_process.h"
#include "trainer/records/lease_record.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Leases are renewed every few seconds; files on a network file system may be seen a little later.
constexpr double kAliveSeconds = 30;
constexpr auto kSqueueLimit = std::chrono::seconds(10);

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

double WrittenAt(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? static_cast<double>(status.st_mtim.tv_sec) : 0;
}

/// Whether somebody works in the folder: its lease is young, and the holder not known to be dead. Without a lease
/// (released, or of a run without one) a young heartbeat tells, unless the last attempt `has_ended` by its own words.
bool IsAlive(const std::string& folder, double now, bool has_ended) {
  if (const double written = WrittenAt(folder + "/lease.json"); written > 0) {
    try {
      if (records::ProvablyDead(records::ParseLease(ReadText(folder + "/lease.json"), folder).holder)) return false;
    } catch (const Error&) {
      // Its age still tells something.
    }
    return now - written < kAliveSeconds;
  }
  if (has_ended) return false;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder + "/heartbeat", ignored))
    if (now - WrittenAt(entry.path()) < kAliveSeconds) return true;
  return false;
}

/// Steps of the whole run: what the recipe says, or what its epochs come to at the pace of steps and epochs in `row`.
/// 0: unknown.
uint64_t TotalSteps(const std::string& folder, const json& row) {
  try {
    const Recipe recipe = ParseRecipe(ReadText(folder + "/recipe.textproto"), "recipe.textproto", folder, {});
    if (recipe.train().steps() > 0) return recipe.train().steps();
    const double step = records::NumberIn(row, "step"), epoch = records::NumberIn(row, "epoch");
    return epoch > 0 ? static_cast<uint64_t>(std::floor(recipe.train().epochs() * step / epoch + 1e-3)) : 0;
  } catch (const Error&) {
    return 0;
  }
}

/// The last logged step, with the speed over the last rows.
void AddProgress(const records::RunFolderReader& files, json& status) {
  json last, evaluation;
  for (json& row : files.LastRows("metrics.jsonl")) (row.contains("split") ? evaluation : last) = std::move(row);
  for (const char* name : {"step", "epoch", "loss", "accuracy", "samples_per_s", "learning_rate", "time"})
    if (last.contains(name)) status[std::string(name) == "time" ? "metrics_time" : name] = last[name];
  if (!evaluation.is_null()) status["evaluation"] = evaluation;
  if (const uint64_t total = TotalSteps(files.folder(), last.is_null() ? evaluation : last); total > 0)
    status["total_steps"] = total;
}

void AddAttempts(const records::RunFolderReader& files, json& status) {
  const std::vector<json> attempts = files.Rows("attempts.jsonl");
  status["attempts"] = attempts.size();
  if (!attempts.empty())
    for (const char* name : {"attempt", "host", "ranks", "from_step"})
      if (attempts.back().contains(name)) status["last_attempt"][name] = attempts.back()[name];
  int restarts = 0;
  json failures = json::array();
  for (const json& row : files.Rows("supervisor.jsonl")) {
    if (records::TextIn(row, "event") != "end" || records::TextIn(row, "cause").empty()) continue;
    restarts += row.value("restart", false);
    failures.push_back({{"cause", records::TextIn(row, "cause")},
                        {"host", records::TextIn(row, "host")},
                        {"message", records::TextIn(row, "message")},
                        {"time", records::NumberIn(row, "time")}});
  }
  status["restarts"] = restarts;
  if (!failures.empty()) status["failures"] = failures;
}

/// Numbers of Slurm jobs that work, or wait to work, in the folder.
std::set<std::string> SlurmJobs(const records::RunFolderReader& files) {
  std::set<std::string> jobs;
  if (const json job = files.Object("job.json");
      job.is_object() && job.contains("slurm_jobs") && job["slurm_jobs"].is_array())
    for (const json& id : job["slurm_jobs"])
      if (id.is_string()) jobs.insert(id.get<std::string>());
  jobs.insert(records::TextIn(files.Object("lease.json"), "slurm_job"));
  for (const json& row : files.LastRows("supervisor.jsonl")) jobs.insert(records::TextIn(row, "slurm_job"));
  std::erase_if(jobs, [](const std::string& id) {
    return id.empty() || id.find_first_not_of("0123456789_") != std::string::npos;
  });
  return jobs;
}

/// What Slurm says of these jobs; of those it has forgotten, nothing.
void AddQueue(const records::RunFolderReader& files, json& status) {
  const std::set<std::string> jobs = SlurmJobs(files);
  if (jobs.empty() || !IsOnPath("squeue")) return;
  json queue = json::array();
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

/// running, done, stopped (in time), failed, killed (no words were left), waiting (nothing has begun).
std::string State(const records::RunFolderReader& files, const std::optional<records::AttemptEnding>& ending,
                  double now) {
  const auto attempts = static_cast<int64_t>(files.Rows("attempts.jsonl").size());
  // A verdict of an older attempt is not about this one.
  const bool has_ended = ending && ending->attempt >= attempts;
  if (IsAlive(files.folder(), now, has_ended)) return "running";
  if (has_ended) return ending->exit_code == 0 ? "done" : ending->exit_code == 75 ? "stopped" : "failed";
  if (fs::exists(files.folder() + "/done.json")) return "done";
  return attempts > 0 ? "killed" : "waiting";
}

bool IsRun(const std::string& folder) {
  for (const char* name : {"/recipe.textproto", "/attempts.jsonl", "/job.sbatch", "/supervisor.jsonl"})
    if (fs::exists(folder + name)) return true;
  return false;
}

std::string Age(double seconds) { return InWords(std::max(0.0, seconds)) + " ago"; }

std::string ProgressLine(const json& status) {
  const double step = records::NumberIn(status, "step"), total = records::NumberIn(status, "total_steps"),
               speed = records::NumberIn(status, "samples_per_s");
  std::string text = total > 0 ? fmt::format("step {:.0f} of {:.0f}", step, total) : fmt::format("step {:.0f}", step);
  if (status.contains("epoch")) text += fmt::format(", epoch {:.2f}", records::NumberIn(status, "epoch"));
  if (status.contains("loss")) text += fmt::format(", loss {:.4f}", records::NumberIn(status, "loss"));
  if (speed > 0) text += fmt::format(", {:.0f} samples/s", speed);
  if (status.contains("metrics_time"))
    text += fmt::format(" ({})", Age(records::NumberIn(status, "now") - records::NumberIn(status, "metrics_time")));
  return text;
}

std::string AttemptsLine(const json& status) {
  const double attempts = records::NumberIn(status, "attempts"), restarts = records::NumberIn(status, "restarts");
  std::string text = attempts > 0 ? fmt::format("{:.0f}", attempts) : "none yet";
  if (status.contains("last_attempt")) {
    const json& last = status["last_attempt"];
    text += fmt::format(", the last on {:.0f} rank{} from step {:.0f} (rank 0 on {})", records::NumberIn(last, "ranks"),
                        records::NumberIn(last, "ranks") == 1 ? "" : "s", records::NumberIn(last, "from_step"),
                        records::TextIn(last, "host"));
  }
  if (restarts > 0) text += fmt::format("; {:.0f} restart{} by lockstep run", restarts, restarts == 1 ? "" : "s");
  return text;
}

}  // namespace

json RunStatus(const std::string& path, double now) {
  const std::string folder = fs::absolute(path).lexically_normal().string();
  if (!IsRun(folder))
    throw Error(ErrorKind::kUsage, "is no run's folder", path, "give what --out of lockstep train was, or runs/NAME");
  const records::RunFolderReader files(folder);
  const std::optional<records::AttemptEnding> ending = files.ReadEnding();
  json status = {{"folder", folder}, {"now", now}, {"state", State(files, ending, now)}};
  if (ending) status["verdict"] = files.Object("verdict.json");
  AddProgress(files, status);
  if (const auto newest = files.FindNewestCheckpoint())
    status["checkpoint"] = {{"step", newest->step}, {"time", newest->written}};
  AddAttempts(files, status);
  AddQueue(files, status);
  return status;
}

std::string FormatStatus(const json& status) {
  const double now = records::NumberIn(status, "now");
  std::string state = records::TextIn(status, "state");
  if (state == "failed") {
    const json& verdict = status["verdict"];
    const std::string where = records::TextIn(verdict, "where");
    state += fmt::format(" with exit code {:.0f}: {}{}", records::NumberIn(verdict, "exit_code"),
                         where.empty() ? "" : where + ": ", records::TextIn(verdict, "message"));
  }
  if (state == "killed") state += ": it ended without a word";
  if (state == "waiting") state += ": nothing has begun";
  std::string text = fmt::format("{}\n  state       {}\n", records::TextIn(status, "folder"), state);
  if (status.contains("step") || status.contains("total_steps")) text += "  progress    " + ProgressLine(status) + "\n";
  if (status.contains("evaluation")) {
    const json& row = status["evaluation"];
    text += fmt::format("  evaluation  {}: loss {:.4f}", records::TextIn(row, "split"), records::NumberIn(row, "loss"));
    if (row.contains("accuracy")) text += fmt::format(", accuracy {:.4f}", records::NumberIn(row, "accuracy"));
    text += fmt::format(" at step {:.0f}\n", records::NumberIn(row, "step"));
  }
  if (status.contains("checkpoint"))
    text += fmt::format("  checkpoint  step {:.0f}, {}\n", records::NumberIn(status["checkpoint"], "step"),
                        Age(now - records::NumberIn(status["checkpoint"], "time")));
  text += "  attempts    " + AttemptsLine(status) + "\n";
  if (status.contains("failures"))
    text += "  last cause  " + records::TextIn(status["failures"].back(), "message") + "\n";
  if (status.contains("queue"))
    for (const json& job : status["queue"])
      text += fmt::format("  queue       job {} {} for {} ({})\n", records::TextIn(job, "job"),
                          records::TextIn(job, "state"), records::TextIn(job, "time"), records::TextIn(job, "reason"));
  return text;
}

void AddStatusCommand(CLI::App& app, int* exit_code) {
  struct Options {
    std::string folder;
    bool as_json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("status", "Show what a run is doing: step, speed, last checkpoint, restarts, queue");
  command->add_option("DIR", options->folder, "A run's folder")->required();
  command->add_flag("--json", options->as_json, "One JSON object");
  command->footer("Example:\n  lockstep status runs/mnist --json");
  command->callback([options, exit_code] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const json status = RunStatus(options->folder, std::chrono::duration<double>(now).count());
    std::fputs((options->as_json ? status.dump(2) + "\n" : FormatStatus(status)).c_str(), stdout);
    *exit_code = 0;
  });
}

}  // namespace lockstep::launch
