#include "launch/supervise/supervisor.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/threads.h"
#include "launch/commands/console.h"
#include "launch/job/ranks.h"
#include "launch/supervise/child_process.h"
#include "launch/supervise/goodput.h"
#include "launch/supervise/job_traces.h"
#include "launch/supervise/journal.h"
#include "launch/supervise/launcher_output.h"
#include "launch/supervise/mpirun.h"
#include "launch/supervise/out_of_memory.h"
#include "launch/supervise/placement.h"
#include "launch/supervise/start_cause.h"
#include "launch/supervise/start_ending.h"
#include "launch/supervise/stop_requests.h"
#include "launch/supervise/watch_launcher.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kKillLimit = std::chrono::seconds(5);
constexpr auto kEndAfterError = milliseconds(5000);  // for mpirun, when a rank has failed
constexpr int kMostProbes = 3;
constexpr int kProbeDelay = 5;  // seconds

/// Differs between all supervisors that ever run at the same time, on hosts that share names or not.
std::string NewJobId() {
  return fmt::format("{}-{}-{:x}", HostName(), getpid(), std::chrono::system_clock::now().time_since_epoch().count());
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Names of variables that ranks on other hosts need.
std::vector<std::string> ExportedVariables() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name(*entry, std::strcspn(*entry, "="));
    if (name.starts_with("LOCKSTEP_") || name == "LD_LIBRARY_PATH" || name == "PATH") names.push_back(name);
  }
  for (const char* own : {kJobVariable, kTerminalVariable})
    if (std::getenv(own) == nullptr) names.emplace_back(own);
  return names;
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisedJob& job);
  int Run();

 private:
  EndedStart StartOnce();
  std::vector<std::string> Command() const;
  ChildOptions LauncherOptions() const;
  void CleanUp();

  bool WaitUntilAfterEnd(int seconds);
  std::optional<Decision> PrepareAgain(int delay);
  int Finish(const EndedStart& ended, const Cause& cause, const Decision& decision);

  void NoteStart(const std::vector<std::string>& command);
  void NoteEnd(const EndedStart& ended, const Cause& cause, const Decision& decision);
  void LookAtFolder();
  uint64_t NextFromStep() const;

  const SupervisedJob& job_;
  const std::string launcher_;
  records::RunFolderReader files_;
  Journal journal_;
  JobTraces traces_;
  Placement placement_;
  StopRequests requests_;
  MpirunVersion version_;
  const std::string first_attempt_;  // of the run that was in the folder before a fresh start
  bool fresh_;                       // still to be done
  const uint64_t first_step_;        // of the checkpoint that the first start goes on from
  const uint64_t first_progress_;    // the last step that was known then
  RestartPolicy policy_;
  const steady_clock::time_point begun_;
  BeforeStart before_;              // the last start
  steady_clock::time_point ended_;  // of the last start
  std::vector<StartCost> costs_;    // of each start that has ended
};

Supervisor::Supervisor(const SupervisedJob& job)
    : job_(job),
      launcher_(job.launcher == Launcher::kSrun ? "srun" : "mpirun"),
      files_(job.folder),
      journal_(job.folder),
      traces_(NewJobId()),
      placement_(job.hosts, job.ranks, RemoteCleanUp(traces_.id())),
      first_attempt_(files_.FirstAttempt()),
      fresh_(job.fresh && !first_attempt_.empty()),
      first_step_(NextFromStep()),
      first_progress_(fresh_ ? 0 : files_.Progress()),
      policy_(job.policy, first_progress_),
      begun_(steady_clock::now()) {
  if (job.launcher == Launcher::kMpirun) version_ = InstalledMpirun();
  if (job.launcher == Launcher::kSrun && !IsOnPath("srun"))
    throw Error(ErrorKind::kUsage, "there is no srun", "PATH", "--launcher srun is for Slurm; leave it out elsewhere");
}

int Supervisor::Run() {
  if (!placement_.ChooseFirst())
    throw Error(ErrorKind::kUsage, "there is no room for a rank", "--hosts", "give hosts slots");
  for (;;) {
    const EndedStart ended = StartOnce();
    const Cause cause = Explain(ended.facts);
    const Decision decision = policy_.After(ended.end);
    NoteEnd(ended, cause, decision);
    if (decision.action == Decision::kFinish) return Finish(ended, cause, decision);
    if (!ended.IsExplained()) WriteOut(ended.launcher_text);
    if (const auto other = PrepareAgain(decision.delay_seconds)) return Finish(ended, cause, *other);
    Say(fmt::format("note: {}; restart {} on {} rank{} from step {}", cause.sentence, policy_.restarts(),
                    placement_.ranks(), placement_.ranks() == 1 ? "" : "s", NextFromStep()));
  }
}

EndedStart Supervisor::StartOnce() {
  const std::vector<std::string> command = Command();
  before_ = LookBefore(files_);
  NoteStart(command);
  LauncherOutput output;
  bool observed = false;
  ChildProcess launcher(command, LauncherOptions());
  const bool overdue = WatchLauncher(
      launcher, requests_, output,
      [&] {
        if (!observed) observed = traces_.Observe(launcher.pid());
        LookAtFolder();
      },
      launcher_ == "mpirun" ? std::optional(kEndAfterError) : std::nullopt);
  ended_ = steady_clock::now();
  EndedStart ended = Gather(before_, launcher_, launcher, output, requests_, files_, overdue);
  CleanUp();
  LookAtFolder();
  if (fresh_) ended.end.progress = 0;  // what is known is of the old run
  if (ended.facts.code != 0) ended.facts.lost_host = placement_.FindLostHost();
  return ended;
}

std::vector<std::string> Supervisor::Command() const {
  RankLaunch launch;
  launch.ranks = placement_.ranks();
  launch.hosts = placement_.hosts();
  launch.patience = job_.patience;
  launch.in_allocation = std::getenv("SLURM_JOB_ID") != nullptr;
  launch.agent = AgentForMpirun();
  if (placement_.HasOthers() || launch.in_allocation) launch.exported = ExportedVariables();
  launch.program = {OwnProgram(), "train"};
  launch.program.insert(launch.program.end(), job_.train.begin(), job_.train.end());
  if (fresh_) launch.program.emplace_back("--fresh");
  if (job_.stop_after) {
    const auto left = *job_.stop_after - std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - begun_);
    launch.program.push_back(fmt::format("--stop-after={}s", std::max<int64_t>(1, left.count())));
  }
  return job_.launcher == Launcher::kSrun ? SrunCommand(launch) : MpirunCommand(version_, launch);
}

ChildOptions Supervisor::LauncherOptions() const {
  ChildOptions options;
  options.environment = {{kJobVariable, traces_.id()}, {kTerminalVariable, isatty(STDERR_FILENO) ? "1" : "0"}};
  if (geteuid() == 0)  // whoever starts this as root has decided so
    for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "PRTE_ALLOW_RUN_AS_ROOT",
                             "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"})
      options.environment.emplace(name, std::string(1, '1'));
  options.pipe_stderr = true;
  options.own_group = true;
  // mpirun then ends its ranks and removes its files, which it could not if it were killed.
  options.death_signal = SIGTERM;
  return options;
}

/// Nothing of a start may live when the next one begins.
void Supervisor::CleanUp() {
  if (!traces_.KillProcesses(kKillLimit)) Say("warning: processes of this job don't die: " + traces_.id());
  traces_.RemoveLeftovers();
}

/// False where a signal asks to stop meanwhile.
bool Supervisor::WaitUntilAfterEnd(int seconds) {
  const auto end = ended_ + std::chrono::seconds(seconds);
  requests_.Wait(milliseconds(0));
  for (auto now = steady_clock::now(); now < end && !requests_.asked(); now = steady_clock::now())
    requests_.Wait(std::chrono::duration_cast<milliseconds>(end - now) + milliseconds(1));
  return !requests_.asked();
}

/// Waits, and chooses hosts and ranks for the next start; says what to do instead where there can be none.
std::optional<Decision> Supervisor::PrepareAgain(int delay) {
  const Decision stopped = {Decision::kFinish, kPreempted, 0, "asked to stop between two starts"};
  if (!WaitUntilAfterEnd(delay)) return stopped;
  for (int probe = 1; !placement_.ChooseAgain(); ++probe) {
    if (probe == kMostProbes) return Decision{Decision::kFinish, kPeerCode, 0, "no host answers"};
    const auto since_end = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - ended_);
    if (!WaitUntilAfterEnd(static_cast<int>(since_end.count()) + kProbeDelay)) return stopped;
  }
  return std::nullopt;
}

int Supervisor::Finish(const EndedStart& ended, const Cause& cause, const Decision& decision) {
  const uint64_t now = ended.end.progress;
  const int code = decision.exit_code;
  if (code == kDone || code == kPreempted || policy_.restarts() > 0 || now > first_progress_)
    Say(GoodputLine(now > first_step_ ? now - first_step_ : 0, costs_));
  journal_.Add({{"event", "finish"}, {"time", SecondsNow()}, {"exit_code", code}, {"restarts", policy_.restarts()}});
  LookAtFolder();
  if (ended.end.out_of_memory && code == kUsageCode) throw OutOfMemory(job_.plan, placement_.ranks(), cause);
  if (code == kPeerCode || (code == 1 && !decision.reason.empty()))
    throw Error(code == 1 ? ErrorKind::kInternal : ErrorKind::kPeer,
                fmt::format("gave up: {}; the last ended because {}", decision.reason, cause.sentence), job_.folder,
                "supervisor.jsonl and logs/ in it tell more");
  if (!decision.reason.empty()) Say("note: " + decision.reason);
  // The launcher's own words are all there is where no rank came to say something.
  if (code != kDone && code != kPreempted && !ended.error_seen) {
    WriteOut(ended.launcher_text);
    Say(fmt::format("lockstep: error: {}", cause.sentence));
  }
  return code;
}

void Supervisor::NoteStart(const std::vector<std::string>& command) {
  if (!costs_.empty()) costs_.back().waited = std::chrono::duration<double>(before_.begun - ended_).count();
  json hosts = json::array();
  for (const Host& host : placement_.hosts()) hosts.push_back(fmt::format("{}:{}", host.name, host.slots));
  journal_.Add({{"event", "start"},
                {"start", costs_.size() + 1},
                {"time", before_.time},
                {"job", traces_.id()},
                {"pid", getpid()},
                {"host", HostName()},
                {"ranks", placement_.ranks()},
                {"hosts", hosts},
                {"from_step", NextFromStep()},
                {"slurm_job", Environment("SLURM_JOB_ID")},
                {"command", ShellWords(command)}});
}

void Supervisor::NoteEnd(const EndedStart& ended, const Cause& cause, const Decision& decision) {
  const StartCost cost = CostOf(ended, cause, placement_.nodes(), before_, files_);
  costs_.push_back(cost);
  journal_.Add({{"event", "end"},
                {"start", costs_.size()},
                {"time", SecondsNow()},
                {"exit_code", EffectiveCode(ended.end)},
                {"launcher_code", ended.facts.code},
                {"cause", cost.cause},
                {"host", cost.host},
                {"message", ended.facts.code == kDone ? "" : cause.sentence},
                {"step", ended.end.progress},
                {"seconds", cost.seconds},
                {"lost_node_seconds", LostNodeSeconds(cost)},
                {"restart", decision.action == Decision::kRestart},
                {"delay", decision.delay_seconds}});
  LookAtFolder();
}

/// A fresh start has happened when another run is in the folder. Until then the journal waits: it would be moved aside.
void Supervisor::LookAtFolder() {
  const std::string attempt = files_.FirstAttempt();
  if (fresh_ && attempt != first_attempt_ && !attempt.empty()) fresh_ = false;
  if (!fresh_ && !attempt.empty()) journal_.Write();
}

/// Of the checkpoint that the next start goes on from.
uint64_t Supervisor::NextFromStep() const {
  const auto newest = files_.FindNewestCheckpoint();
  return newest && !fresh_ ? newest->step : 0;
}

}  // namespace

int Supervise(const SupervisedJob& job) { return Supervisor(job).Run(); }

}  // namespace lockstep::launch
