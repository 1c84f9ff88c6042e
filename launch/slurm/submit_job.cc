#include "launch/slurm/submit_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/json_fields.h"
#include "base/terminal.h"
#include "launch/slurm/job_work.h"
#include "launch/supervise/launcher/child_process.h"
#include "trainer/records/run_folder.h"

namespace lockstep::launch {
namespace {

constexpr auto kSbatchLimit = std::chrono::seconds(60);

/// Submits the script, to run after job `after` where that is given, and returns the new job's number. Throws
/// Error(kUsage) with what sbatch says.
std::string Sbatch(const std::string& script, const std::string& after) {
  std::vector<std::string> words = {"sbatch", "--parsable"};
  if (!after.empty()) words.push_back("--dependency=afterany:" + after);
  words.push_back(script);
  const Captured said = RunForOutput(words, kSbatchLimit);
  if (said.code != 0) {
    std::string reason = said.errors.empty() ? said.output : said.errors;
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    throw Error(ErrorKind::kUsage, fmt::format("sbatch refused it: {}", reason), "submit",
                said.code == 127
                    ? "submit from a machine that has Slurm's commands, or look at the script with --dry-run"
                    : "lockstep submit --dry-run shows the script");
  }
  return said.output.substr(0, said.output.find_first_of(";\n"));
}

/// A run's folder with a script in it. Where Slurm takes no job, Undo makes the folder what it was.
class PreparedFolder {
 public:
  PreparedFolder(const std::string& folder, bool fresh, const std::string& script)
      : folder_(folder), script_(folder + "/job.sbatch") {
    if (fresh) aside_ = records::RunFolder(files_, folder).MoveAside();
    for (const std::string& needed : {folder, folder + "/logs"}) {
      if (files_.Exists(needed)) continue;
      files_.CreateFolders(needed);
      made_.push_back(needed);
    }
    // What earlier jobs left must be gone before a new one can look at it.
    for (const char* old : {"/job.ended", "/job.without-progress"}) files_.RemoveAll(folder + old);
    if (files_.Exists(script_)) old_script_ = ReadWholeFile(files_, script_);
    WriteFileAtomically(files_, script_, script);
  }

  const std::string& script() const { return script_; }

  void Keep(const std::vector<std::string>& ids) {
    WriteFileAtomically(files_, folder_ + "/job.json",
                        DumpJson(Json{{"slurm_jobs", ids}, {"time", std::time(nullptr)}}) + "\n");
    if (!aside_.empty()) PrintLine("note: the old run is in " + aside_ + " now");
  }

  void Undo() {
    if (old_script_)
      WriteFileAtomically(files_, script_, *old_script_);
    else
      files_.RemoveAll(script_);
    std::error_code in_use;  // a folder that somebody else uses by now stays
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) std::filesystem::remove(*made, in_use);
    if (!aside_.empty() && !files_.Exists(folder_)) files_.Rename(aside_, folder_);
  }

 private:
  FileSystem& files_ = FileSystem::Real();
  const std::string folder_, script_;
  std::string aside_;
  std::optional<std::string> old_script_;
  std::vector<std::string> made_;
};

}  // namespace

void SubmitJob(const JobScript& job, const Submission& submission) {
  const std::string text = FormatScript(job);
  if (submission.dry_run) {
    std::fputs(text.c_str(), stdout);
    return;
  }
  PreparedFolder folder(ScriptFolder(job), submission.fresh, text);
  std::vector<std::string> ids;
  std::optional<Error> refusal;
  try {
    while (static_cast<int>(ids.size()) < submission.jobs)
      ids.push_back(Sbatch(folder.script(), ids.empty() ? "" : ids.back()));
  } catch (const Error& error) {
    refusal = error;
  }
  if (ids.empty()) {
    folder.Undo();
    throw *refusal;
  }
  folder.Keep(ids);
  for (const std::string& id : ids) std::printf("submitted job %s (%s)\n", id.c_str(), folder.script().c_str());
  if (!submission.then.empty()) std::printf("%s\n", submission.then.c_str());
  if (!refusal) return;
  throw Error(refusal->kind(), fmt::format("only {} of {} jobs: {}", ids.size(), submission.jobs, refusal->message()),
              refusal->where(), "the others run; the run goes on after them when it is submitted again");
}

std::string TypedInJob(const JobScript& job) {
  std::vector<std::string> words{"lockstep"};
  words.insert(words.end(), job.words.begin(), job.words.end());
  words.insert(words.end(), {"--launcher", LauncherIn(job)});
  return ShellWords(words);
}

void DealStudy(const std::string& name, const std::string& folder, int ranks, bool ranks_are_said, JobScript& job) {
  if (MakesArray(job.sbatch) || MakesArray({job.site.sbatch().begin(), job.site.sbatch().end()}))
    throw Error(ErrorKind::kUsage, "it is one job", "--array", "leave it out");
  if (!ranks_are_said) job.ranks_per_node = std::max(job.ranks_per_node, (ranks + job.nodes - 1) / job.nodes);
  if (job.nodes * job.ranks_per_node < ranks)
    throw Error(ErrorKind::kUsage,
                fmt::format("{} node{} of {} ranks are too few for {} ranks", job.nodes, job.nodes == 1 ? "" : "s",
                            job.ranks_per_node, ranks),
                "--ranks-per-node", "give more nodes or ranks a node, or leave it out");
  job.name = name;
  job.folder = folder;
}

}  // namespace lockstep::launch
