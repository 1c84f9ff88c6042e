#include "launch/supervised_job.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/threads.h"
#include "launch/child_process.h"
#include "launch/cleanup.h"
#include "launch/goodput.h"
#include "launch/journal.h"
#include "launch/launcher_output.h"
#include "launch/mpirun.h"
#include "launch/ranks.h"
#include "launch/run_files.h"
#include "launch/start_report.h"
#include "launch/stop_requests.h"

namespace lockstep::launch {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr auto kLook = milliseconds(500);  // between looks at what tells nobody that it changed
constexpr auto kRepeatSignal = std::chrono::seconds(5);
constexpr auto kEndAtOnceLimit = std::chrono::seconds(3);
constexpr auto kKillLimit = std::chrono::seconds(5);
constexpr auto kProbeKeeps = milliseconds(1500);
constexpr int kMostProbes = 3;

/// Differs between all supervisors that ever run at the same time, on hosts that share names or not.
std::string NewJobId() {
  return fmt::format("{}-{}-{:x}", HostName(), getpid(), std::chrono::system_clock::now().time_since_epoch().count());
}

/// Seconds since 1970.
double Now() { return Seconds(std::chrono::system_clock::now().time_since_epoch()).count(); }

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

void Say(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

void WriteOut(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

bool HasOthers(const std::vector<Host>& hosts) {
  return std::any_of(hosts.begin(), hosts.end(), [](const Host& host) { return !IsThisHost(host.name); });
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisedJob& job);
  int Run();

 private:
  struct Ended {
    StartEnd end;
    StartFacts facts;
    bool error_seen = false;
    std::string launcher_text;
  };

  static RestartPolicy::Options PolicyOptions(const SupervisedJob& job, const RunFiles& files);
  void Probe();
  bool Prepare(bool first);
  Ended StartOnce();
  ChildOptions LauncherOptions() const;
  std::vector<std::string> Command() const;
  void Watch(ChildProcess& child, LauncherOutput& output);
  void PassOn(ChildProcess& child, int number);
  void LookAtFolder();
  void CleanUp();
  Ended Gather(ChildProcess& child, const LauncherOutput& output, const std::optional<Verdict>& before,
               uint64_t oom_kills);
  StartCost Account(const Ended& ended, const Cause& cause) const;
  bool WaitBefore(int delay);
  int Finish(const Ended& ended, const Cause& cause, const Decision& decision);
  Error OutOfMemory(const Cause& cause) const;
  int Nodes() const;

  const SupervisedJob& job_;
  RunFiles files_;
  Journal journal_;
  RestartPolicy policy_;
  JobTraces traces_;
  StopRequests requests_;
  MpirunVersion version_;
  std::string first_attempt_;  // of the run that was in the folder before a fresh start
  bool fresh_;                 // still to be done
  std::vector<Host> answering_;
  steady_clock::time_point probed_;
  int ranks_ = 0;
  std::vector<Host> dealt_;
  bool observed_ = false;
  steady_clock::time_point begun_, started_;
  double started_time_ = 0;
  steady_clock::time_point ended_;
  std::vector<StartCost> costs_;
  uint64_t first_step_ = 0;      // of the checkpoint that the first start goes on from
  uint64_t first_progress_ = 0;  // the last step that was known then
};

Supervisor::Supervisor(const SupervisedJob& job)
    : job_(job),
      files_(job.folder),
      journal_(job.folder),
      policy_(PolicyOptions(job, files_)),
      traces_(NewJobId()),
      first_attempt_(files_.FirstAttempt()),
      fresh_(job.fresh && !first_attempt_.empty()),
      answering_(job.hosts),
      begun_(steady_clock::now()) {
  if (job.launcher == Launcher::kMpirun) version_ = InstalledMpirun();
  if (job.launcher == Launcher::kSrun && !IsOnPath("srun"))
    throw Error(ErrorKind::kUsage, "there is no srun", "PATH", "--launcher srun is for Slurm; leave it out elsewhere");
  if (!fresh_) {
    const auto newest = files_.FindNewestCheckpoint();
    first_step_ = newest ? newest->step : 0;
    first_progress_ = files_.Progress();
  }
}

RestartPolicy::Options Supervisor::PolicyOptions(const SupervisedJob& job, const RunFiles& files) {
  RestartPolicy::Options options = job.policy;
  options.first_progress = job.fresh ? 0 : files.Progress();
  return options;
}

int Supervisor::Nodes() const {
  if (!dealt_.empty()) return static_cast<int>(dealt_.size());
  const char* nodes = std::getenv("SLURM_JOB_NUM_NODES");
  return nodes == nullptr ? 1 : std::max(1, std::atoi(nodes));
}

/// Which hosts answer; what this job left on them ends on the way.
void Supervisor::Probe() {
  answering_ = AnsweringHosts(job_.hosts, RemoteCleanUp(traces_.id()));
  probed_ = steady_clock::now();
}

/// Chooses hosts and ranks for the next start; false where no host answers.
bool Supervisor::Prepare(bool first) {
  ranks_ = std::min(job_.ranks, first ? job_.ranks : job_.lanes);
  if (job_.hosts.empty()) return true;
  if (!first && steady_clock::now() - probed_ > kProbeKeeps) Probe();
  ranks_ = std::min(ranks_, TotalSlots(answering_));
  dealt_ = ranks_ > 0 ? DealRanks(answering_, ranks_) : std::vector<Host>{};
  return ranks_ > 0;
}

std::vector<std::string> Supervisor::Command() const {
  RankLaunch launch;
  launch.ranks = ranks_;
  launch.hosts = dealt_;
  launch.in_allocation = std::getenv("SLURM_JOB_ID") != nullptr;
  launch.agent = AgentForMpirun();
  if (HasOthers(dealt_) || launch.in_allocation) launch.exported = ExportedVariables();
  launch.program = {OwnProgram(), "train"};
  launch.program.insert(launch.program.end(), job_.train.begin(), job_.train.end());
  if (fresh_) launch.program.emplace_back("--fresh");
  if (job_.stop_after) {
    const auto left = *job_.stop_after - std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - begun_);
    launch.program.push_back(fmt::format("--stop-after={}s", std::max<int64_t>(1, left.count())));
  }
  return job_.launcher == Launcher::kSrun ? SrunCommand(launch) : MpirunCommand(version_, launch);
}

/// A fresh start has happened when another run is in the folder.
void Supervisor::LookAtFolder() {
  if (fresh_ && files_.FirstAttempt() != first_attempt_ && !files_.FirstAttempt().empty()) fresh_ = false;
  if (!fresh_ && !files_.FirstAttempt().empty()) journal_.Write();
}

void Supervisor::PassOn(ChildProcess& child, int number) {
  if (requests_.interrupted()) {
    child.Signal(SIGTERM);
    return;
  }
  child.Signal(number == SIGUSR2 ? SIGUSR2 : SIGUSR1);
}

/// Until the launcher has ended and all it said was read.
void Supervisor::Watch(ChildProcess& child, LauncherOutput& output) {
  std::optional<steady_clock::time_point> repeat_at, kill_at;
  int asked = 0;
  char part[8192];
  for (bool running = true; running;) {
    const int request = requests_.Wait(kLook, child.stderr_fd());
    running = !child.Poll();
    for (ssize_t n; (n = read(child.stderr_fd(), part, sizeof(part))) > 0;)
      WriteOut(output.Add(std::string(part, static_cast<size_t>(n))));
    if (!observed_) observed_ = traces_.Observe(child.pid());
    LookAtFolder();
    const auto now = steady_clock::now();
    if (request != 0) {
      if (asked == 0) Say("note: asked to stop: the ranks save and end");
      asked = request;
      PassOn(child, request);
      repeat_at = now + kRepeatSignal;
      if (requests_.interrupted() && !kill_at) kill_at = now + kEndAtOnceLimit;
    }
    // A signal that mpirun gets while it starts ranks reaches none of them. Twice is as good as once.
    if (repeat_at && now >= *repeat_at && !requests_.interrupted()) {
      PassOn(child, asked);
      repeat_at = now + kRepeatSignal;
    }
    if (kill_at && now >= *kill_at) child.Signal(SIGKILL);
  }
  WriteOut(output.Finish());
  if (output.mid_line()) WriteOut(isatty(STDERR_FILENO) ? "\r\033[K" : "\n");
}

/// Nothing of a start may live when the next one begins.
void Supervisor::CleanUp() {
  if (!traces_.KillProcesses(kKillLimit)) Say("warning: processes of this job don't die: " + traces_.id());
  traces_.RemoveLeftovers();
}

Supervisor::Ended Supervisor::Gather(ChildProcess& child, const LauncherOutput& output,
                                     const std::optional<Verdict>& before, uint64_t oom_kills) {
  Ended ended;
  ended.facts.code = *child.Poll();
  ended.facts.launcher_signal = child.ending_signal();
  ended.facts.events = ReadLauncherText(output.launcher_text());
  ended.facts.this_host = HostName();
  ended.facts.launcher = job_.launcher == Launcher::kSrun ? "srun" : "mpirun";
  const std::optional<Verdict> verdict = files_.ReadVerdict();
  if (verdict && (!before || before->text != verdict->text)) ended.facts.verdict = verdict;
  ended.error_seen = output.error_seen();
  ended.launcher_text = output.launcher_text();

  // srun has been seen to end with 0 when a node could not start its step.
  ended.facts.not_done = ended.facts.code == 0 && !std::filesystem::exists(job_.folder + "/done.json");
  if (ended.facts.not_done) ended.facts.code = kPeerCode;
  ended.end.launcher_code = ended.facts.code;
  if (ended.facts.verdict) ended.end.verdict_code = ended.facts.verdict->exit_code;
  ended.end.stop_asked = requests_.asked();
  ended.end.interrupted = requests_.interrupted();
  const bool killed = ended.facts.code == 128 + SIGKILL || ended.facts.events.signal == SIGKILL;
  ended.facts.out_of_memory = ended.facts.events.out_of_memory || (killed && ReadOomKills() > oom_kills);
  ended.end.out_of_memory = ended.facts.code != 0 && ended.facts.out_of_memory;
  ended.end.progress = files_.Progress();
  return ended;
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

Supervisor::Ended Supervisor::StartOnce() {
  const std::optional<Verdict> before = files_.ReadVerdict();
  const uint64_t oom_kills = ReadOomKills();
  const std::vector<std::string> command = Command();
  const auto newest = files_.FindNewestCheckpoint();
  observed_ = false;
  started_ = steady_clock::now();
  started_time_ = Now();
  if (!costs_.empty()) costs_.back().waited = Seconds(started_ - ended_).count();
  json hosts = json::array();
  for (const Host& host : dealt_) hosts.push_back(fmt::format("{}:{}", host.name, host.slots));
  journal_.Add({{"event", "start"},
                {"start", costs_.size() + 1},
                {"time", started_time_},
                {"job", traces_.id()},
                {"pid", getpid()},
                {"host", HostName()},
                {"ranks", ranks_},
                {"hosts", hosts},
                {"from_step", newest && !fresh_ ? newest->step : 0},
                {"slurm_job", std::getenv("SLURM_JOB_ID") == nullptr ? "" : std::getenv("SLURM_JOB_ID")},
                {"command", ShellWords(command)}});
  LauncherOutput output;
  ChildProcess child(command, LauncherOptions());
  Watch(child, output);
  ended_ = steady_clock::now();
  Ended ended = Gather(child, output, before, oom_kills);
  CleanUp();
  LookAtFolder();
  if (fresh_) ended.end.progress = 0;
  return ended;
}

StartCost Supervisor::Account(const Ended& ended, const Cause& cause) const {
  StartCost cost;
  cost.nodes = Nodes();
  cost.seconds = Seconds(ended_ - started_).count();
  if (ended.facts.code == 0 || ended.facts.code == kPreempted) return cost;
  cost.cause = cause.name;
  cost.host = cause.host;
  cost.lost_seconds = cost.seconds;
  // What was durable is not lost.
  const auto newest = files_.FindNewestCheckpoint();
  if (newest && newest->written >= started_time_)
    cost.lost_seconds = std::clamp(Now() - newest->written, 0.0, cost.seconds);
  return cost;
}

/// Waits before the next start; false where a signal asks to stop meanwhile.
bool Supervisor::WaitBefore(int delay) {
  const auto end = ended_ + std::chrono::seconds(delay);
  for (auto now = steady_clock::now(); now < end && !requests_.asked(); now = steady_clock::now())
    requests_.Wait(std::chrono::duration_cast<milliseconds>(end - now) + milliseconds(1));
  if (!requests_.asked()) requests_.Wait(milliseconds(0));
  return !requests_.asked();
}

Error Supervisor::OutOfMemory(const Cause& cause) const {
  std::vector<std::string> words = {OwnProgram(), "plan", "-n", std::to_string(ranks_)};
  words.insert(words.end(), job_.plan.begin(), job_.plan.end());
  const std::string plan = RunForOutput(words, std::chrono::seconds(60)).output;
  static const std::regex all(R"(\n  all +(\S+ \S+) of (\S+ \S+))");
  std::smatch found;
  const std::string need = std::regex_search(plan, found, all)
                               ? fmt::format(": by its plan, each of {} ranks needs {}, and the limit is {}", ranks_,
                                             found[1].str(), found[2].str())
                               : "";
  return Error(ErrorKind::kUsage, "the kernel killed it for want of memory" + need,
               cause.sentence.substr(0, cause.sentence.find(" was ")),
               "use fewer ranks on a host, fewer --executors, smaller lanes (a smaller train.global_batch, or more "
               "train.lanes), or give it more memory");
}

int Supervisor::Finish(const Ended& ended, const Cause& cause, const Decision& decision) {
  const uint64_t now = ended.end.progress;
  if (decision.exit_code == kDone || decision.exit_code == kPreempted || policy_.restarts() > 0 ||
      now > first_progress_)
    Say(GoodputLine(now > first_step_ ? now - first_step_ : 0, costs_));
  journal_.Add(
      {{"event", "finish"}, {"time", Now()}, {"exit_code", decision.exit_code}, {"restarts", policy_.restarts()}});
  LookAtFolder();
  if (ended.end.out_of_memory && decision.exit_code == kUsageCode) throw OutOfMemory(cause);
  if (decision.exit_code == kPeerCode || (decision.exit_code == 1 && !decision.reason.empty()))
    throw Error(decision.exit_code == 1 ? ErrorKind::kInternal : ErrorKind::kPeer,
                fmt::format("gave up: {}; the last ended because {}", decision.reason, cause.sentence), job_.folder,
                "supervisor.jsonl and logs/ in it tell more");
  if (!decision.reason.empty()) Say("note: " + decision.reason);
  // The launcher's own words are all there is where no rank came to say something.
  if (decision.exit_code != kDone && decision.exit_code != kPreempted && !ended.error_seen) {
    WriteOut(ended.launcher_text);
    Say(fmt::format("lockstep: error: {}", cause.sentence));
  }
  return decision.exit_code;
}

int Supervisor::Run() {
  if (!Prepare(true)) throw Error(ErrorKind::kUsage, "there is no room for a rank", "--hosts", "give hosts slots");
  for (;;) {
    Ended ended = StartOnce();
    if (ended.facts.code != 0 && HasOthers(job_.hosts)) {
      const std::vector<Host> before = dealt_;
      Probe();
      for (const Host& host : before)
        if (std::none_of(answering_.begin(), answering_.end(),
                         [&](const Host& other) { return other.name == host.name; }))
          ended.facts.lost_host = host.name;
    }
    const Cause cause = Explain(ended.facts);
    costs_.push_back(Account(ended, cause));
    const Decision decision = policy_.After(ended.end);
    const bool again = decision.action == Decision::kRestart;
    journal_.Add({{"event", "end"},
                  {"start", costs_.size()},
                  {"time", Now()},
                  {"exit_code", EffectiveCode(ended.end)},
                  {"launcher_code", ended.facts.code},
                  {"cause", costs_.back().cause},
                  {"host", costs_.back().host},
                  {"message", ended.facts.code == 0 ? "" : cause.sentence},
                  {"step", ended.end.progress},
                  {"seconds", costs_.back().seconds},
                  {"lost_node_seconds", LostNodeSeconds(costs_.back())},
                  {"restart", again},
                  {"delay", decision.delay_seconds}});
    LookAtFolder();
    if (!again) return Finish(ended, cause, decision);
    // Where nobody said why, and the launcher neither, its whole text is the only trace.
    const bool explained = ended.error_seen || ended.facts.events.rank || ended.facts.launcher_signal != 0 ||
                           !ended.facts.lost_host.empty() || ended.facts.verdict;
    if (!explained) WriteOut(ended.launcher_text);
    bool stopped = !WaitBefore(decision.delay_seconds);
    for (int probe = 1; !stopped && !Prepare(false); ++probe) {
      if (probe == kMostProbes) return Finish(ended, cause, {Decision::kFinish, kPeerCode, 0, "no host answers"});
      stopped = !WaitBefore(static_cast<int>(Seconds(steady_clock::now() - ended_).count()) + 5);
    }
    if (stopped) return Finish(ended, cause, {Decision::kFinish, kPreempted, 0, "asked to stop between two starts"});
    const auto newest = files_.FindNewestCheckpoint();
    Say(fmt::format("note: {}; restart {} on {} rank{} from step {}", cause.sentence, policy_.restarts(), ranks_,
                    ranks_ == 1 ? "" : "s", newest && !fresh_ ? newest->step : 0));
  }
}

}  // namespace

int Supervise(const SupervisedJob& job) { return Supervisor(job).Run(); }

}  // namespace lockstep::launch
