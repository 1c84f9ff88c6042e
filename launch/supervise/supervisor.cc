#include "launch/supervise/supervisor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/machine/host.h"
#include "launch/supervise/console.h"
#include "launch/supervise/goodput.h"
#include "launch/supervise/journal.h"
#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/guardian.h"
#include "launch/supervise/launcher/job_traces.h"
#include "launch/supervise/launcher/limits.h"
#include "launch/supervise/launcher/mpirun.h"
#include "launch/supervise/launcher/own_program.h"
#include "launch/supervise/launcher_output.h"
#include "launch/supervise/out_of_memory.h"
#include "launch/supervise/placement.h"
#include "launch/supervise/start_cause.h"
#include "launch/supervise/start_command.h"
#include "launch/supervise/start_ending.h"
#include "launch/supervise/stop_requests.h"
#include "launch/supervise/supervised_folder.h"
#include "launch/supervise/watch_launcher.h"

namespace lockstep::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What a launcher gets to end by itself when this process has died. mpirun ends its ranks at once; others pass the
// signal on, and ranks save.
constexpr auto kOrphansOfMpirun = milliseconds(4000), kOrphans = milliseconds(600000);
constexpr auto kKillLimit = std::chrono::seconds(5);
constexpr auto kEndAfterError = milliseconds(5000);  // that mpirun gets when a rank has failed
constexpr auto kLeastUntilJoined = std::chrono::seconds(60), kLeastAfterTrouble = std::chrono::seconds(15);
constexpr auto kAfterEnd = std::chrono::seconds(30);
constexpr int kMostProbes = 3;
constexpr int kProbeDelay = 5;  // seconds

/// Differs between all supervisors that ever run at the same time, on hosts that share names or not.
std::string NewJobId() {
  return fmt::format("{}-{}-{:x}", HostName(), getpid(), std::chrono::system_clock::now().time_since_epoch().count());
}

std::string SlurmJob() {
  const char* id = std::getenv("SLURM_JOB_ID");
  return id == nullptr ? "" : id;
}

/// How long a launcher may take. Until ranks join, much of a cluster may have to read the program from one disk, and a
/// crowded host takes its time: the watchdog's timeout is no measure where it is short.
WatchLimits LimitsOf(const SupervisedJob& job) {
  WatchLimits limits;
  if (job.launcher == Launcher::kMpirun) limits.after_error = kEndAfterError;
  limits.after_end = kAfterEnd;
  if (job.patience.count() == 0) return limits;  // nothing is watched
  // srun may have to wait for its turn.
  limits.until_joined = std::max<milliseconds>(kLeastUntilJoined, (limits.after_error ? 1 : 10) * job.patience);
  limits.after_trouble = std::max<milliseconds>(kLeastAfterTrouble, job.patience / 4);
  return limits;
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisedJob& job);
  int Run();

 private:
  StartEnding StartOnce();
  std::optional<std::chrono::seconds> TimeLeft() const;
  void CleanUp();

  bool WaitUntilAfterEnd(int seconds);
  std::optional<Decision> PrepareAgain(int delay);
  int Finish(const StartEnding& ending, const StartCause& cause, const Decision& decision);

  void NoteStart(const std::vector<std::string>& command);
  void NoteEnd(const StartEnding& ending, const StartCause& cause, const Decision& decision);
  void LookAtFolder();

  const SupervisedJob& job_;
  SupervisedFolder folder_;
  Journal journal_;
  JobTraces traces_;
  const Guardian guardian_;
  Placement placement_;
  StopRequests requests_;
  MpirunVersion mpirun_;
  const uint64_t first_step_;      // of the checkpoint that the first start goes on from
  const uint64_t first_progress_;  // the last step that was known then
  RestartPolicy policy_;
  const steady_clock::time_point begun_;
  BeforeStart before_;              // the last start
  steady_clock::time_point ended_;  // of the last start
  std::vector<StartCost> costs_;    // of each start that has ended
};

Supervisor::Supervisor(const SupervisedJob& job)
    : job_(job),
      folder_(job.folder, job.fresh),
      journal_(job.folder),
      traces_(NewJobId()),
      guardian_(traces_.id(), job.launcher == Launcher::kMpirun ? kOrphansOfMpirun : kOrphans),
      placement_(job.hosts, job.ranks, RemoteCleanUp(traces_.id())),
      first_step_(folder_.NextStep()),
      first_progress_(folder_.Progress()),
      policy_(job.policy, first_progress_),
      begun_(steady_clock::now()) {
  OwnProgram();  // learned before anything else is installed in its place
  if (job.launcher == Launcher::kMpirun) mpirun_ = InstalledMpirun();
  if (job.launcher == Launcher::kSrun && !IsOnPath("srun"))
    throw Error(ErrorKind::kUsage, "there is no srun", "PATH", "--launcher srun is for Slurm; leave it out elsewhere");
}

int Supervisor::Run() {
  if (!placement_.ChooseFirst())
    throw Error(ErrorKind::kUsage, "there is no room for a rank", "--hosts", "give hosts slots");
  for (;;) {
    const StartEnding ending = StartOnce();
    const StartCause cause = CauseOf(ending.facts);
    const Decision decision = policy_.After(ending.outcome);
    NoteEnd(ending, cause, decision);
    if (decision.action == Decision::kFinish) return Finish(ending, cause, decision);
    if (!ending.IsExplained()) WriteOut(ending.launcher_text);
    if (const auto other = PrepareAgain(decision.delay_seconds)) return Finish(ending, cause, *other);
    Say(fmt::format("note: {}; restart {} on {} rank{} from step {}", cause.sentence, policy_.restarts(),
                    placement_.ranks(), placement_.ranks() == 1 ? "" : "s", folder_.NextStep()));
  }
}

StartEnding Supervisor::StartOnce() {
  if (job_.launcher == Launcher::kMpirun) MakeRoomForRanks(mpirun_, placement_.ranks_here());
  const std::vector<std::string> command = StartCommand(job_, mpirun_, placement_, folder_.holds_old_run(), TimeLeft());
  before_ = LookBeforeStart(folder_.files());
  NoteStart(command);
  LauncherOutput output;
  bool observed = false;
  ChildProcess launcher(command, LauncherOptions(traces_.id()));
  WatchEyes eyes;
  eyes.look = [&] {
    if (!observed) observed = traces_.Observe(launcher.pid());
    LookAtFolder();
  };
  eyes.sees_rank = [&] { return observed; };
  eyes.sees_work = [&] { return folder_.files().LastAttempt() != before_.attempt; };
  eyes.sees_end = [&] { return EndingSince(before_, folder_.files()).has_value(); };
  const LauncherEnd end = WatchLauncher(launcher, requests_, output, eyes, LimitsOf(job_));
  ended_ = steady_clock::now();
  StartEnding ending =
      GatherStartEnding(before_, {NameOf(job_.launcher), mpirun_, launcher}, output, requests_, folder_.files(), end);
  CleanUp();
  LookAtFolder();
  if (folder_.holds_old_run()) ending.outcome.progress = 0;
  if (ending.facts.code != 0) ending.facts.lost_host = placement_.FindLostHost();
  return ending;
}

std::optional<std::chrono::seconds> Supervisor::TimeLeft() const {
  if (!job_.stop_after) return std::nullopt;
  return *job_.stop_after - std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - begun_);
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
  for (int probe = 1; !IsProgram(OwnProgram()) || !placement_.ChooseAgain(); ++probe) {
    if (probe == kMostProbes && IsProgram(OwnProgram()))
      return Decision{Decision::kFinish, kPeerCode, 0, "no host answers"};
    if (probe == kMostProbes)
      return Decision{Decision::kFinish, kPeerCode, 0, "there is no program any more: " + OwnProgram()};
    const auto since_end = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - ended_);
    if (!WaitUntilAfterEnd(static_cast<int>(since_end.count()) + kProbeDelay)) return stopped;
  }
  return std::nullopt;
}

int Supervisor::Finish(const StartEnding& ending, const StartCause& cause, const Decision& decision) {
  const uint64_t now = ending.outcome.progress;
  const int code = decision.exit_code;
  if (code == kDone || code == kPreempted || policy_.restarts() > 0 || now > first_progress_)
    Say(GoodputLine(now > first_step_ ? now - first_step_ : 0, costs_));
  journal_.Add({{"event", "finish"}, {"time", SecondsNow()}, {"exit_code", code}, {"restarts", policy_.restarts()}});
  LookAtFolder();
  if (ending.outcome.out_of_memory && code == kMemoryCode) throw OutOfMemory(job_.plan, placement_.ranks(), cause);
  // The launcher's own words are all there is where nobody has said why.
  if (code != kDone && code != kPreempted && !ending.IsExplained()) WriteOut(ending.launcher_text);
  if (code == kPeerCode || (code == 1 && !decision.reason.empty()))
    throw Error(code == 1 ? ErrorKind::kInternal : ErrorKind::kPeer,
                fmt::format("gave up: {}; the last ended because {}", decision.reason, cause.sentence), job_.folder,
                "supervisor.jsonl and logs/ in it tell more");
  if (!decision.reason.empty()) Say("note: " + decision.reason);
  if (code != kDone && code != kPreempted && !ending.error_seen) {
    if (ending.IsExplained()) WriteOut(ending.launcher_text);
    Say(fmt::format("lockstep: error: {}", cause.sentence));
  }
  return code;
}

void Supervisor::NoteStart(const std::vector<std::string>& command) {
  if (!costs_.empty()) costs_.back().waited = std::chrono::duration<double>(before_.begun - ended_).count();
  Json hosts = Json::array();
  for (const Host& host : placement_.hosts()) hosts.push_back(fmt::format("{}:{}", host.name, host.slots));
  journal_.Add({{"event", "start"},
                {"start", costs_.size() + 1},
                {"time", before_.time},
                {"job", traces_.id()},
                {"pid", getpid()},
                {"host", HostName()},
                {"ranks", placement_.ranks()},
                {"hosts", hosts},
                {"from_step", folder_.NextStep()},
                {"slurm_job", SlurmJob()},
                {"command", ShellWords(command)}});
}

void Supervisor::NoteEnd(const StartEnding& ending, const StartCause& cause, const Decision& decision) {
  const StartCost cost = CostOf(ending, cause, placement_.nodes(), before_, folder_.files());
  costs_.push_back(cost);
  journal_.Add({{"event", "end"},
                {"start", costs_.size()},
                {"time", SecondsNow()},
                {"exit_code", EffectiveCode(ending.outcome)},
                {"launcher_code", ending.facts.code},
                {"cause", cost.cause},
                {"host", cost.host},
                {"message", ending.facts.code == kDone ? "" : cause.sentence},
                {"step", ending.outcome.progress},
                {"seconds", cost.seconds},
                {"lost_node_seconds", LostNodeSeconds(cost)},
                {"restart", decision.action == Decision::kRestart},
                {"delay", decision.delay_seconds}});
  LookAtFolder();
}

/// The journal waits until the run's own folder is there: a fresh start would move it aside with the old run.
void Supervisor::LookAtFolder() {
  if (folder_.Look()) journal_.Write();
}

}  // namespace

int Supervise(const SupervisedJob& job) { return Supervisor(job).Run(); }

}  // namespace lockstep::launch
