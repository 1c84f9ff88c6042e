#include "launch/profile/profiled_job.h"

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/files/file.h"
#include "base/stop_signals.h"
#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/own_program.h"
#include "trainer/records/run_folder.h"

namespace lockstep::launch {
namespace {

/// Its exit code.
int AwaitEnd(ChildProcess& child) {
  bool told = false;
  for (;;) {
    if (const std::optional<int> code = child.Poll()) return *code;
    if (StopSignal() != 0 && !std::exchange(told, true)) child.Signal(SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

/// What a run that failed left: its verdict, or where to look.
Error FailureOf(const ProfiledJob& job, int code) {
  FileSystem& files = FileSystem::Real();
  const std::string path = records::RunFolder(files, job.folder).ending();
  if (files.Exists(path))
    if (const auto ending = records::ParseEnding(ReadWholeFile(files, path)); ending && ending->kind)
      return Error(*ending->kind, ending->message, ending->where, "what it said is in " + job.log);
  std::string said = ReadWholeFile(files, job.log);
  said.erase(said.find_last_not_of('\n') + 1);
  return Error(ErrorKind::kUsage, fmt::format("the run ended with {}: {}", code, said.substr(said.rfind('\n') + 1)),
               job.log);
}

std::vector<std::string> WordsOf(const ProfiledJob& job) {
  std::vector<std::string> words{OwnProgram(), "run", job.recipe,       "--out", job.folder,
                                 "--progress", "off", "--max-restarts", "0"};
  words.insert(words.end(), job.launcher.begin(), job.launcher.end());
  return words;
}

}  // namespace

std::vector<std::string> SettingsOf(uint64_t steps, uint64_t warm_up_steps) {
  const uint64_t all = warm_up_steps + steps;
  return {"metrics.tensorboard=false", "checkpoint.every_steps=0", "checkpoint.every_minutes=0",
          fmt::format("train.steps={}", all),
          // At the end alone, and of no interest.
          fmt::format("train.evaluate_every_steps={}", all), "evaluate.samples=1",
          fmt::format("profile.steps={}", steps), fmt::format("profile.warm_up_steps={}", warm_up_steps)};
}

void RunProfiledJob(const ProfiledJob& job) {
  FileSystem& files = FileSystem::Real();
  if (records::RunFolder(files, job.folder).HasRun()) files.RemoveAll(job.folder);
  // exec: the shell, which opens the log, becomes the program.
  const std::string line = "exec " + ShellWords(WordsOf(job)) + " >" + ShellWord(job.log) + " 2>&1";
  ChildOptions options;
  options.own_group = true;
  options.death_signal = SIGTERM;
  ChildProcess child({"sh", "-c", line}, options);
  const int code = AwaitEnd(child);
  if (StopSignal() != 0) throw Error(ErrorKind::kPreempted, "the profile was asked to stop", "", "start it again");
  if (code != 0) throw FailureOf(job, code);
  files.RemoveAll(records::RunFolder(files, job.folder).checkpoints());
}

}  // namespace lockstep::launch
