#include "launch/tune/run_sweep.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/json_fields.h"
#include "base/stop_signals.h"
#include "launch/supervise/launcher/child_process.h"
#include "launch/supervise/launcher/own_program.h"
#include "trainer/records/run_folder.h"

namespace lockstep::launch {
namespace {

using Clock = std::chrono::steady_clock;

/// A trial on its way.
struct Running {
  std::unique_ptr<ChildProcess> child;
  std::string folder, log;
  Clock::time_point begun;
  bool told = false;  ///< to stop
  bool stopped_early = false;
};

class Sweep {
 public:
  Sweep(const SweepRequest& request, const SweepSetup& setup, const std::function<void(const std::string&)>& say)
      : request_(request), setup_(setup), say_(say), files_(FileSystem::Real()) {
    if (request.eta > 0) rungs_ = RungsOf(request.first_rung, request.eta, request.total_steps);
    files_.CreateFolders(setup.folder + "/trials");
    if (files_.Exists(RowsPath())) trials_ = ParseTrials(ReadWholeFile(files_, RowsPath()));
    if (files_.Exists(LogPath())) log_ = ReadWholeFile(files_, LogPath());
  }

  std::vector<Trial> Run() {
    RunAll(
        TrialCount(request_), [this](int number) { return MakeTrial(request_, number, trials_); },
        [this](int number) { return CanBegin(request_, number, trials_); });
    const int own = TrialCount(request_);
    std::vector<int> best = Ranking(request_, trials_);
    best.resize(std::min<size_t>(best.size(), static_cast<size_t>(request_.best)));
    if (request_.seeds > 0)
      RunAll(
          own + static_cast<int>(best.size()) * request_.seeds,
          [&](int number) { return Repeat(best, number - own, number); }, [](int) { return true; });
    return trials_;
  }

 private:
  std::string RowsPath() const { return setup_.folder + "/trials.jsonl"; }
  std::string LogPath() const { return setup_.folder + "/decisions.jsonl"; }
  std::string FolderOf(int number) const { return fmt::format("{}/trials/{:04}", setup_.folder, number); }

  /// The same trial with another seed.
  Trial Repeat(const std::vector<int>& best, int index, int number) const {
    Trial trial = trials_[static_cast<size_t>(best[static_cast<size_t>(index / request_.seeds)])];
    trial.repeat_of = trial.number;
    trial.number = number;
    trial.state = Trial::State::kWaiting;
    trial.rungs.clear();
    trial.settings.push_back(fmt::format("train.seed={}", 1000 + index % request_.seeds));
    return trial;
  }

  template <typename Make, typename Can>
  void RunAll(int count, const Make& make, const Can& can) {
    for (;;) {
      const bool stopping = Stopping();
      while (!stopping && static_cast<int>(running_.size()) < setup_.parallel && Next(count) >= 0 && can(Next(count)))
        Begin(Next(count), make);
      if (running_.empty()) {
        if (stopping)
          throw Error(ErrorKind::kPreempted, "the sweep was asked to stop", "", "start it again to go on where it was");
        return;
      }
      std::vector<int> over;
      for (auto& [number, running] : running_) {
        if (stopping && !running.told) Tell(running);
        if (Look(number, running)) over.push_back(number);
      }
      for (const int number : over) running_.erase(number);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  /// The first trial below `count` that neither is over nor on its way; -1: there is none.
  int Next(int count) const {
    for (int number = 0; number < count; ++number)
      if (!running_.contains(number) && (number >= std::ssize(trials_) || !trials_[static_cast<size_t>(number)].over()))
        return number;
    return -1;
  }

  template <typename Make>
  void Begin(int number, const Make& make) {
    if (number >= std::ssize(trials_)) {
      trials_.push_back(make(number));
      Write();
    }
    const Trial& trial = trials_[static_cast<size_t>(number)];
    Running running;
    running.folder = FolderOf(number);
    running.log = running.folder + ".log";
    running.begun = Clock::now();
    std::vector<std::string> words{OwnProgram(),
                                   "run",
                                   "-n",
                                   std::to_string(setup_.ranks),
                                   setup_.recipe,
                                   "--out",
                                   running.folder,
                                   "--progress",
                                   "off",
                                   "--max-restarts",
                                   "0"};
    words.insert(words.end(), setup_.launcher.begin(), setup_.launcher.end());
    if (setup_.executors > 0) words.insert(words.end(), {"--executors", std::to_string(setup_.executors)});
    const auto set = [&](const std::string& setting) { words.insert(words.end(), {"--set", setting}); };
    set("metrics.tensorboard=false");
    if (!rungs_.empty() && trial.repeat_of < 0) set(fmt::format("train.evaluate_every_steps={}", request_.first_rung));
    for (const std::string& setting : setup_.settings) set(setting);
    for (const std::string& setting : trial.settings) set(setting);
    ChildOptions options;
    options.own_group = true;
    options.death_signal = SIGTERM;
    const std::string line = "exec " + ShellWords(words) + " >>" + ShellWord(running.log) + " 2>&1";
    running.child = std::make_unique<ChildProcess>(std::vector<std::string>{"sh", "-c", line}, options);
    running_.emplace(number, std::move(running));
  }

  bool Stopping() const { return StopSignal() != 0 || preempted_; }

  static void Tell(Running& running) {
    running.told = true;
    running.child->Signal(SIGTERM);
  }

  /// Takes in what the trial has come to, decides, and ends it where that is due. Whether it is over.
  bool Look(int number, Running& running) {
    ReadRungs(number, running);
    if (const std::optional<int> code = running.child->Poll(); code && !ended_.contains(number)) {
      ended_[number] = *code;
      ReadRungs(number, running);
    }
    Decide(number, running);
    if (!ended_.contains(number)) return false;
    // A trial that has come to its end before a decision on one of its rungs waits for that: it may have been stopped.
    // Nobody told the trial to stop but the job that it runs in, whose time is over.
    if (ended_[number] == ExitCodeOf(ErrorKind::kPreempted) && !running.told) preempted_ = true;
    const bool waits = !running.stopped_early && ended_[number] == 0 && undecided_.contains(number);
    if (waits && !Stopping()) return false;
    Finish(number, running);
    return true;
  }

  std::vector<Json> RowsOf(const Running& running) const {
    const std::string path = running.folder + "/metrics.jsonl";
    return files_.Exists(path) ? ParseJsonRows(ReadWholeFile(files_, path)) : std::vector<Json>{};
  }

  std::optional<double> ValueAt(const std::vector<Json>& rows, uint64_t step) const {
    for (const Json& row : rows)
      if (TextOr(row, "split") == request_.split && FieldOr<uint64_t>(row, "step", 0) == step)
        return NumberOr(row, request_.measure.c_str(), std::nan(""));
    return std::nullopt;
  }

  void ReadRungs(int number, const Running& running) {
    std::vector<double>& seen = seen_[number];
    if (rungs_.empty() || trials_[static_cast<size_t>(number)].repeat_of >= 0 || seen.size() == rungs_.size()) return;
    const std::vector<Json> rows = RowsOf(running);
    while (seen.size() < rungs_.size()) {
      const std::optional<double> value = ValueAt(rows, rungs_[seen.size()]);
      if (!value) return;
      seen.push_back(request_.falls ? *value : -*value);
    }
  }

  std::vector<TrialProgress> Progress() const {
    std::vector<TrialProgress> progress;
    for (const Trial& trial : trials_)
      if (trial.repeat_of < 0) progress.push_back({trial.rungs, trial.over()});
    return progress;
  }

  /// Rung by rung: what lies behind a decision to stop does not count.
  void Decide(int number, Running& running) {
    Trial& trial = trials_[static_cast<size_t>(number)];
    undecided_.erase(number);
    if (rungs_.empty() || trial.repeat_of >= 0 || running.stopped_early) return;
    size_t& decided = decided_[number];
    while (decided < seen_[number].size()) {
      if (trial.rungs.size() == decided) trial.rungs.push_back(seen_[number][decided]);
      const std::optional<Decision> decision = DecideAt(Progress(), static_cast<size_t>(number), decided, request_.eta);
      if (!decision) {
        undecided_.insert(number);
        return;
      }
      Log(trial, decided, *decision);
      ++decided;
      if (decision->goes_on) continue;
      running.stopped_early = true;
      if (!ended_.contains(number)) Tell(running);
      return;
    }
  }

  void Log(const Trial& trial, size_t rung, const Decision& decision) {
    const std::string row = DumpJson(Json{{"trial", trial.number},
                                          {"step", rungs_[rung]},
                                          {"value", trial.rungs[rung]},
                                          {"place", decision.place},
                                          {"of", decision.of},
                                          {"goes_on", decision.goes_on}}) +
                            "\n";
    if (log_.find(row) != std::string::npos) return;  // of a sweep that was stopped, and decides the same again
    log_ += row;
    WriteFileAtomically(files_, LogPath(), log_);
  }

  void Finish(int number, Running& running) {
    Trial& trial = trials_[static_cast<size_t>(number)];
    const int code = ended_[number];
    trial.seconds += std::chrono::duration<double>(Clock::now() - running.begun).count();
    const bool interrupted = Stopping() && !running.stopped_early && (code != 0 || undecided_.contains(number));
    if (running.stopped_early) {
      trial.state = Trial::State::kStopped;
    } else if (code == 0 && !interrupted) {
      TakeResult(trial, running);
    } else if (!interrupted) {
      trial.state = Trial::State::kFailed;
      const std::string verdict = running.folder + "/verdict.json";
      const auto ending = files_.Exists(verdict) ? records::ParseEnding(ReadWholeFile(files_, verdict)) : std::nullopt;
      trial.reason = ending && ending->exit_code != 0 ? ending->message : fmt::format("it ended with {}", code);
    } else {
      trial.rungs.clear();  // they are read again
    }
    if (trial.over() && trial.state != Trial::State::kDone) files_.RemoveAll(running.folder + "/checkpoints");
    if (trial.over()) Say(trial);
    Write();
    ended_.erase(number);
    seen_.erase(number);
    decided_.erase(number);
  }

  void TakeResult(Trial& trial, const Running& running) {
    double value = std::nan("");
    for (const Json& row : RowsOf(running))
      if (TextOr(row, "split") == request_.split) value = NumberOr(row, request_.measure.c_str(), std::nan(""));
    trial.state = std::isfinite(value) ? Trial::State::kDone : Trial::State::kFailed;
    trial.value = std::isfinite(value) ? value : 0;
    if (!std::isfinite(value))
      trial.reason = fmt::format("its last evaluation of {} has no {}", request_.split, request_.measure);
    const std::string done = running.folder + "/done.json";
    if (const auto record = files_.Exists(done) ? records::ParseDone(ReadWholeFile(files_, done)) : std::nullopt) {
      const size_t at = record->line.find(" weights=");
      if (at != std::string::npos) trial.weights = record->line.substr(at + 9, record->line.find(' ', at + 9) - at - 9);
    }
  }

  void Say(const Trial& trial) {
    const std::string head = fmt::format("trial {:3} {:60} ", trial.number, fmt::join(trial.settings, " "));
    if (trial.state == Trial::State::kDone)
      say_(head + fmt::format("{} {:.6g}", request_.measure, trial.value));
    else if (trial.state == Trial::State::kStopped)
      say_(head + fmt::format("stopped at step {}: {} {:.6g}", rungs_[trial.rungs.size() - 1], request_.measure,
                              request_.falls ? trial.rungs.back() : -trial.rungs.back()));
    else
      say_(head + "FAILED: " + trial.reason);
  }

  void Write() {
    std::string rows;
    for (const Trial& trial : trials_) rows += FormatTrial(trial);
    WriteFileAtomically(files_, RowsPath(), rows);
  }

  const SweepRequest& request_;
  const SweepSetup& setup_;
  const std::function<void(const std::string&)>& say_;
  FileSystem& files_;
  std::vector<uint64_t> rungs_;
  std::vector<Trial> trials_;
  std::map<int, Running> running_;
  std::map<int, int> ended_;                 ///< exit codes of running trials whose process has ended
  std::map<int, std::vector<double>> seen_;  ///< values at rungs that evaluations have told
  std::map<int, size_t> decided_;
  std::set<int> undecided_;
  bool preempted_ = false;  ///< a trial was stopped, and so is the sweep
  std::string log_;
};

}  // namespace

std::vector<Trial> RunSweep(const SweepRequest& request, const SweepSetup& setup,
                            const std::function<void(const std::string&)>& say) {
  return Sweep(request, setup, say).Run();
}

}  // namespace lockstep::launch
