#include "trainer/loop/worker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/threads.h"
#include "comm/flight_file.h"
#include "comm/watchdog.h"
#include "data/ledger.h"
#include "trainer/loop/agreement.h"
#include "trainer/loop/checkpointer.h"
#include "trainer/loop/coordinator.h"
#include "trainer/loop/early_stopping.h"
#include "trainer/loop/handshake.h"
#include "trainer/loop/job_plans.h"
#include "trainer/loop/lane_plan.h"
#include "trainer/loop/reporter.h"
#include "trainer/loop/session.h"
#include "trainer/loop/stepper.h"
#include "trainer/loop/stop.h"
#include "trainer/loop/straggler.h"
#include "trainer/loop/weight_check.h"

namespace lockstep::loop {
namespace {

using std::chrono::steady_clock;

// What a rank's record says where its time is over, instead of a signal's number.
constexpr int kStopTime = -1;

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

class Worker {
 public:
  Worker(const Job& job, JobPlans plans, const Verdict& verdict, Coordinator* coordinator);
  Outcome Run();
  uint64_t step() const { return step_; }

 private:
  bool leads() const { return job_.comm->rank() == 0; }
  double EpochAt(uint64_t step) const { return static_cast<double>(step) / length_.steps_per_epoch; }
  bool Ended() const { return step_ >= length_.total_steps || loop_.stopped_early(); }
  void Enter(comm::Phase::Value phase) {
    if (comm::FlightRecorder* recorder = session_.comm().recorder()) recorder->EnterPhase(phase, static_cast<int64_t>(step_));
  }
  bool EvaluationDue() const;
  bool CheckpointDue() const;

  void LoadOrInitialize();
  void StartLoader();
  void Step();
  void FillRecord(RankRecord& record);
  void Report(const StepResult& result, double seconds, bool logged);
  void Certify();
  /// False where a rank was asked to stop meanwhile.
  bool EvaluateSplits();
  bool Evaluate(const std::string& split, checkpoint::Evaluation* evaluation);
  void Observe(const checkpoint::Evaluation& evaluation);
  checkpoint::Manifest MakeManifest() const;
  std::vector<uint64_t> PinnedSteps() const;
  void SaveInBackground();
  void SaveNow();
  Outcome StopHere();
  Outcome Finish();

  /// Swaps `array` of the owned state with the weights, on all ranks.
  void SwapWeights(int array);
  /// The array whose weights evaluations mean: the EMA's; -1: the weights themselves.
  int EvaluatedArray() const { return optimizer_.ema_index(); }
  int BestArray() const { return job_.train.has_early_stopping() ? static_cast<int>(state_.arrays().size()) - 1 : -1; }
  uint64_t WeightsHash() { return engine::HashWeights(session_.layout(), session_.exchange().weights().data()); }

  const Job& job_;
  FileSystem& files_;
  RunFolder folder_;
  Verdict verdict_;
  optim::RunLength length_;
  Session session_;
  optim::Optimizer optimizer_;
  OwnedState state_;
  WeightCheck check_;
  Stepper stepper_;
  data::Ledger ledger_;
  checkpoint::LoopState loop_;
  uint64_t step_ = 0;  ///< finished steps
  bool stopping_ = false;            ///< all ranks have agreed to
  bool checkpoint_due_ = false;      ///< by time, or because the weights are the best so far
  uint64_t hashed_step_ = 0;         ///< at which the weights' hash was taken:
  std::string weights_hash_;
  double checkpoint_seconds_ = 0;    ///< waited for checkpoints since the last logged step
  StopClock clock_;
  StragglerWatch stragglers_;
  std::unique_ptr<data::Loader> loader_;
  Coordinator* coordinator_;                  ///< rank 0
  std::unique_ptr<Reporter> reporter_;        ///< rank 0
  std::unique_ptr<Checkpointer> checkpointer_;
  std::vector<double> step_seconds_;
  steady_clock::time_point start_, last_save_;
  bool warned_of_grace_ = false;
};

Worker::Worker(const Job& job, JobPlans plans, const Verdict& verdict, Coordinator* coordinator)
    : job_(job),
      files_(*job.files),
      folder_(files_, job.folder),
      verdict_(verdict),
      length_(LengthOf(job)),
      session_(job, std::move(plans), {verdict.executors().begin(), verdict.executors().end()}),
      optimizer_(job.optimizer, MakeSegments(session_.plans(), job.optimizer), length_,
                 static_cast<int>(job.train.lanes())),
      state_(session_.exchange().slices(), job.comm->rank(), StateArrays(optimizer_, job.train)),
      check_(session_),
      stepper_(job, session_, optimizer_, state_, check_),
      ledger_(job.splits.train->size()),
      clock_(job.stop_before),
      stragglers_(job.comm->topology(), job.watchdog.straggler_factor()),
      coordinator_(coordinator) {
  if (leads()) {
    Reporter::Options options;
    options.metrics_path = folder_.metrics();
    options.attempt = verdict.attempt();
    options.total_steps = length_.total_steps;
    options.total_epochs = EpochAt(length_.total_steps);
    options.terminal = job.terminal;
    options.quiet = job.quiet;
    reporter_ = std::make_unique<Reporter>(std::move(options));
  }
  // Until a save was measured: as on a slow disk.
  const double bytes = static_cast<double>(state_.owned()) * static_cast<double>(state_.arrays().size() + 1) * sizeof(float);
  clock_.NoteSave(0.5 + bytes / 50e6);
  checkpointer_ = std::make_unique<Checkpointer>(job, files_, verdict.attempt(), state_, coordinator_);
}

void Worker::LoadOrInitialize() {
  if (!verdict_.has_checkpoint()) {
    session_.Initialize();
    if (optimizer_.ema_index() >= 0)
      for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
        const comm::ElementRange range = state_.slice(bucket);
        std::copy_n(session_.exchange().weights().data() + range.begin, range.size(), state_.data(optimizer_.ema_index(), bucket).data());
      }
    return;
  }
  Together(session_.comm(), "the loading of the checkpoint", [&] {
    const auto reader = checkpoint::Reader::Open(files_, folder_.checkpoint(verdict_.resume_step()));
    if (reader->manifest().arena_elements() != session_.layout().elements())
      throw Error(ErrorKind::kCheckpoint, "it holds another model", reader->folder());
    state_.Load(*reader, session_.exchange().weights());
    loop_ = reader->manifest().loop();
    ledger_.Restore(loop_.ledger());
    step_ = reader->manifest().step();
    checkpointer_->set_saved_step(step_);
  });
  session_.exchange().ShareNow();
  if (leads()) LogNote("resuming from step {} of {}", step_, length_.total_steps);
}

void Worker::StartLoader() {
  data::Loader::Options options;
  options.dataset = job_.splits.train;
  options.transform = job_.splits.transform;
  options.seed = job_.train.seed();
  options.global_batch = job_.train.global_batch();
  options.lanes = static_cast<int>(job_.train.lanes());
  options.mine = session_.lanes();
  options.first_step = step_;
  options.end_step = length_.total_steps;
  options.threads = static_cast<int>(std::max(1u, job_.data.threads()));
  loader_ = std::make_unique<data::Loader>(std::move(options));
}

Outcome Worker::Run() {
  const comm::Topology& topology = session_.comm().topology();
  LogInfo("attempt {}: rank {} of {} on {}, lanes {} to {}, {} executors, from step {} of {}", verdict_.attempt(), topology.rank,
          topology.world_size, topology.host_of[static_cast<size_t>(topology.rank)], session_.lanes().begin,
          session_.lanes().end - 1, session_.pool().size(), verdict_.resume_step(), length_.total_steps);
  Enter(comm::Phase::LOADING_CHECKPOINT);
  LoadOrInitialize();
  if (leads()) coordinator_->BeginCertificate(session_.layout(), step_);
  StartLoader();
  PollStopSignals();
  start_ = last_save_ = steady_clock::now();
  // A stop may have come between a step and its evaluation.
  if (step_ > 0 && EvaluationDue() && !EvaluateSplits()) return StopHere();
  while (!Ended()) {
    Enter(comm::Phase::COMPUTING);
    Step();
    // The first step prepares much; from the second on nothing takes long.
    if (job_.watchdog.timeout_seconds() > 0) session_.comm().SetDeadline(std::chrono::seconds(job_.watchdog.timeout_seconds()));
    if (stopping_) return StopHere();
    if (EvaluationDue() && !EvaluateSplits()) return StopHere();
    if (CheckpointDue()) SaveInBackground();
  }
  return Finish();
}

void Worker::FillRecord(RankRecord& record) {
  record.checkpoint_written = checkpointer_->written();
  record.stop = StopSignal();
  // Whichever rank was told when the job ends.
  if (clock_.Due(StopClock::Clock::now())) record.stop = kStopTime;
  if (!leads()) return;
  record.checkpoint_settled = checkpointer_->settled();
  const double every_minutes = job_.checkpoint.every_minutes();
  record.checkpoint_due = every_minutes > 0 && SecondsSince(last_save_) >= 60 * every_minutes && !checkpointer_->in_flight();
}

void Worker::Step() {
  const auto begin = steady_clock::now();
  const uint64_t every = job_.train.log_every_steps();
  const bool logged = (step_ + 1) % every == 0 || step_ + 1 == length_.total_steps;
  const StepResult result =
      stepper_.Run(step_, loop_.updates_applied(), logged, [this](RankRecord& record) { FillRecord(record); }, *loader_);

  std::vector<data::LaneDelivery> deliveries;
  for (const LaneRecord& lane : result.record.lanes) deliveries.push_back(lane.delivery);
  ledger_.Add(step_, deliveries, (step_ + 1) * job_.train.global_batch());
  ++step_;
  if (!result.skipped) loop_.set_updates_applied(loop_.updates_applied() + 1);
  stopping_ = result.record.stop();
  checkpoint_due_ = result.record.ranks.front().checkpoint_due != 0;
  checkpointer_->Advance(result.record.checkpoint_written(), result.record.ranks.front().checkpoint_settled != 0);
  if (const uint64_t every = job_.train.certificate_every_steps(); every > 0 && step_ % every == 0) Certify();
  Report(result, SecondsSince(begin), logged);
}

void Worker::Certify() {
  const uint64_t weights = check_.CompareNodes(step_);
  weights_hash_ = HashText(weights);
  hashed_step_ = step_;
  check_.NoteOwned();
  if (leads() && coordinator_->certificate().Due(step_))
    coordinator_->certificate().Add(
        {step_, weights, ledger_.chain(), HashTensors(session_.layout(), session_.exchange().weights().data())});
}

void Worker::Report(const StepResult& result, double seconds, bool logged) {
  step_seconds_.push_back(seconds);
  clock_.NoteStep(seconds);
  if (leads()) coordinator_->lease().NoteStep(step_);
  if (checkpointer_->save_seconds() > 0) clock_.NoteSave(checkpointer_->save_seconds());
  if (!leads()) return;
  if (const std::string line = stragglers_.Observe(result.record.ranks); !line.empty()) LogWarning("{}", line);
  StepRow row;
  row.step = step_;
  row.epoch = EpochAt(step_);
  row.loss = result.loss;
  row.accuracy = result.accuracy;
  row.learning_rate = optimizer_.LearningRate(step_ - 1);
  row.samples_per_s = static_cast<double>(job_.train.global_batch()) / seconds;
  row.grad_norm = result.grad_norm;
  row.checkpoint_seconds = checkpoint_seconds_;
  if (logged) {
    reporter_->Log(row);
    checkpoint_seconds_ = 0;
  }
  reporter_->Progress(row);
}

bool Worker::EvaluationDue() const {
  if (!job_.splits.test && !job_.splits.validation) return false;
  for (const checkpoint::Evaluation& evaluation : loop_.evaluations())
    if (evaluation.step() == step_) return false;
  if (step_ == length_.total_steps) return true;
  if (const uint64_t every = job_.train.evaluate_every_steps(); every > 0) return step_ % every == 0;
  const uint64_t size = job_.splits.train->size(), batch = job_.train.global_batch();
  return step_ * batch / size > (step_ - 1) * batch / size;
}

bool Worker::CheckpointDue() const {
  const uint64_t every = job_.checkpoint.every_steps();
  return !Ended() && (checkpoint_due_ || (every > 0 && step_ % every == 0));
}

void Worker::SwapWeights(int array) {
  // Ranks of this node may still read the weights that are swapped out.
  session_.comm().Wait(*session_.comm().Barrier(), "the swap of weights");
  const std::span<float> weights = session_.exchange().weights();
  for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
    const std::span<float> other = state_.data(array, bucket);
    std::swap_ranges(other.begin(), other.end(), weights.begin() + state_.slice(bucket).begin);
  }
  session_.exchange().ShareNow();
}

bool Worker::Evaluate(const std::string& split, checkpoint::Evaluation* evaluation) {
  std::optional<checkpoint::Evaluation> result = session_.Evaluate(split, step_);
  if (result) *evaluation = *result;
  return result.has_value();
}

bool Worker::EvaluateSplits() {
  Enter(comm::Phase::EVALUATING);
  const int array = EvaluatedArray();
  std::vector<std::string> splits;  // the one that steers first
  if (job_.splits.validation) splits.push_back("validation");
  if (job_.splits.test) splits.push_back("test");
  std::vector<checkpoint::Evaluation> evaluations;
  if (array >= 0) SwapWeights(array);
  const bool complete =
      std::all_of(splits.begin(), splits.end(), [&](const std::string& split) { return Evaluate(split, &evaluations.emplace_back()); });
  if (array >= 0) SwapWeights(array);
  if (!complete) return false;
  for (const checkpoint::Evaluation& evaluation : evaluations)
    if (leads()) reporter_->Log(evaluation, EpochAt(step_));
  Observe(evaluations.front());
  loop_.clear_evaluations();
  for (const checkpoint::Evaluation& evaluation : evaluations) *loop_.add_evaluations() = evaluation;
  return true;
}

void Worker::Observe(const checkpoint::Evaluation& evaluation) {
  const bool stops = job_.train.has_early_stopping(), saves = job_.checkpoint.when() == checkpoint::BEST;
  if (!stops && !saves) return;
  EarlyStoppingRule rule(job_.train.early_stopping(), loop_);
  const bool best = rule.Observe(evaluation);
  checkpoint_due_ |= best && saves;
  if (!stops) return;
  if (best) {
    for (int bucket = 0; bucket < state_.buckets(); ++bucket) {
      const comm::ElementRange range = state_.slice(bucket);
      const float* from = EvaluatedArray() >= 0 ? state_.data(EvaluatedArray(), bucket).data()
                                                : session_.exchange().weights().data() + range.begin;
      std::copy_n(from, range.size(), state_.data(BestArray(), bucket).data());
    }
  }
  if (rule.ShouldStop() && step_ < length_.total_steps) {
    loop_.set_stopped_early(true);
    if (leads()) LogNote("stopping early: no gain in {} evaluations; the best weights are those of step {}",
                         loop_.evaluations_without_gain(), loop_.best_step());
  }
}

checkpoint::Manifest Worker::MakeManifest() const {
  checkpoint::Manifest manifest;
  if (!leads()) return manifest;
  manifest.set_step(step_);
  manifest.set_attempt(verdict_.attempt());
  manifest.set_world_size(static_cast<uint32_t>(session_.comm().world_size()));
  manifest.set_lockstep_version(std::string(Version()));
  manifest.set_build_hash(std::string(BuildHash()));
  manifest.set_recipe_hash(HashText(Hash64(job_.recipe.identity)));
  // Hashing all weights takes as long as copying them: only where it was done anyway.
  if (hashed_step_ == step_) manifest.set_weights_hash(weights_hash_);
  DescribeTensors(session_.layout(), manifest);
  manifest.add_arrays("weights");
  for (const std::string& array : state_.arrays()) manifest.add_arrays(array);
  *manifest.mutable_loop() = loop_;
  manifest.mutable_loop()->set_ledger(ledger_.Serialize());
  return manifest;
}

std::vector<uint64_t> Worker::PinnedSteps() const {
  std::vector<uint64_t> pinned;
  if (!leads()) return pinned;
  if (job_.checkpoint.when() == checkpoint::BEST && loop_.has_best()) pinned.push_back(loop_.best_step());
  if (const uint64_t every = job_.checkpoint.keep_every(); every > 0)
    for (uint64_t step : checkpoint::ListSteps(files_, folder_.checkpoints()))
      if (step % every == 0) pinned.push_back(step);
  return pinned;
}

void Worker::SaveInBackground() {
  Enter(comm::Phase::SAVING_CHECKPOINT);
  const auto begin = steady_clock::now();
  checkpointer_->Drain();
  checkpointer_->Begin(step_, session_.exchange().weights(), MakeManifest(), PinnedSteps());
  checkpoint_seconds_ += SecondsSince(begin);
  last_save_ = begin;
  if (leads() && job_.grace_seconds > 0 && checkpointer_->save_seconds() > job_.grace_seconds && !std::exchange(warned_of_grace_, true))
    LogWarning("a checkpoint takes {:.1f} s, longer than the {:.0f} s between the signal to stop and the end: give more time",
               checkpointer_->save_seconds(), job_.grace_seconds);
}

void Worker::SaveNow() {
  Enter(comm::Phase::SAVING_CHECKPOINT);
  checkpointer_->Drain();
  if (checkpointer_->saved_step() == step_ && step_ > 0) return;
  if (hashed_step_ != step_ || step_ == 0) Certify();
  checkpointer_->Save(step_, session_.exchange().weights(), MakeManifest(), PinnedSteps());
}

Outcome Worker::StopHere() {
  SaveNow();
  if (!leads()) return {"", static_cast<int>(ErrorKind::kPreempted)};
  const uint64_t saved = checkpointer_->saved_step();
  LogNote("stopped at step {} of {}; {}; start again to go on", step_, length_.total_steps,
          saved == step_ ? "its checkpoint is durable" : fmt::format("the newest checkpoint is that of step {}", saved));
  return {"", static_cast<int>(ErrorKind::kPreempted)};
}

Outcome Worker::Finish() {
  Enter(comm::Phase::FINISHING);
  const bool best = BestArray() >= 0 && loop_.has_best();
  const std::string split = job_.splits.reported_name();
  // The last checkpoint holds the state from which training could go on; what is reported are the weights that evaluation means.
  checkpoint::Evaluation evaluation;
  for (const checkpoint::Evaluation& candidate : loop_.evaluations())
    if (candidate.split() == split && candidate.step() == step_) evaluation = candidate;
  const int array = best ? BestArray() : EvaluatedArray();
  if (array >= 0) SwapWeights(array);
  const bool evaluated = (!best && !evaluation.split().empty()) || Evaluate(split, &evaluation);
  const double seconds = SecondsSince(start_);
  ResultLine line;
  line.weights = WeightsHash();
  if (array >= 0) SwapWeights(array);
  if (!evaluated) return StopHere();
  SaveNow();
  if (!leads()) return {};

  line.name = job_.name;
  line.step = step_;
  line.epoch = static_cast<uint64_t>(std::ceil(EpochAt(step_) - 1e-9));
  line.evaluation = evaluation;
  line.seconds = seconds;
  if (!step_seconds_.empty()) {
    std::nth_element(step_seconds_.begin(), step_seconds_.begin() + static_cast<int64_t>(step_seconds_.size() / 2), step_seconds_.end());
    line.samples_per_s = static_cast<double>(job_.train.global_batch()) / step_seconds_[step_seconds_.size() / 2];
  }
  if (best) line.best_step = loop_.best_step();
  const std::string text = Format(line);
  try {
    coordinator_->certificate().SetFinal(step_, line.weights, ledger_.chain());
    coordinator_->certificate().Write();
    folder_.WriteDone({text, HashText(Hash64(job_.recipe.identity)), step_});
  } catch (const Error& error) {
    throw Error(ErrorKind::kCheckpoint, fmt::format("the run is done, but this can't be written down: {}", error.message()), error.where(),
                "make room and start again: it takes up where its last checkpoint is");
  }
  return {text, 0};
}

/// Sets the communicator's recorder for as long as it lives.
class Recording {
 public:
  explicit Recording(comm::Communicator& comm)
      : comm_(comm), recorder_(comm.rank(), comm.world_size(), comm.topology().host_of[static_cast<size_t>(comm.rank())]) {
    comm_.SetRecorder(&recorder_);
  }
  ~Recording() { comm_.SetRecorder(nullptr); }
  comm::FlightRecorder& recorder() { return recorder_; }

 private:
  comm::Communicator& comm_;
  comm::FlightRecorder recorder_;
};

/// An attempt of a run, from the verdict on. Whatever ends it, it is noted in the run folder: how, by the rank that knows why (or
/// rank 0, where nothing went wrong), and what each rank did last.
class Attempt {
 public:
  Attempt(const Job& job, const Verdict& verdict, comm::FlightRecorder& recorder, Coordinator* coordinator)
      : job_(job), verdict_(verdict), recorder_(recorder), coordinator_(coordinator), folder_(*job.files, job.folder) {
    recorder_.SetAttempt(verdict.attempt());
    comm::Watchdog::Options options;
    options.files = job.files;
    options.folder = folder_.heartbeats();
    options.records_folder = folder_.flight_records(verdict.attempt());
    options.on_stuck = [this](const Error& error) {
      NoteFailure(error, 0);
      if (job_.end_stuck) job_.end_stuck(error);
    };
    watchdog_.emplace(*job.comm, recorder, std::move(options));
  }

  Outcome Run() {
    uint64_t step = verdict_.resume_step();
    try {
      recorder_.EnterPhase(comm::Phase::COMPILING);
      Worker worker(job_, Compile(), verdict_, coordinator_);
      Outcome outcome;
      try {
        outcome = worker.Run();
      } catch (...) {
        step = worker.step();
        throw;
      }
      if (job_.comm->rank() == 0)
        folder_.WriteVerdict({verdict_.attempt(), outcome.exit_code, outcome.exit_code == 0 ? "done" : "stopped in time", "", worker.step()});
      // Some launchers end all ranks as soon as one returns an exit code that is not 0.
      if (outcome.exit_code != 0) job_.comm->Wait(*job_.comm->Barrier(), "the end");
      return outcome;
    } catch (const comm::PeerAborted& aborted) {
      Record(aborted.what());
      throw;
    } catch (const Error& error) {
      NoteFailure(error, step);
      throw;
    }
  }

 private:
  JobPlans Compile() const {
    std::optional<JobPlans> plans;
    Together(*job_.comm, "the compilation of the model", [&] {
      plans = CompileJob(job_);
      const comm::Topology& topology = job_.comm->topology();
      CheckMemory(job_, *plans, PlanLanes(static_cast<int>(job_.train.lanes()), {verdict_.executors().begin(), verdict_.executors().end()}),
                  topology.nodes[static_cast<size_t>(topology.node())], MemoryLimit());
    });
    return std::move(*plans);
  }

  void Record(const std::string& ending) {
    comm::WriteFlightRecord(*job_.files, recorder_, folder_.flight_records(verdict_.attempt()), ending);
  }

  void NoteFailure(const Error& error, uint64_t step) {
    Record(error.what());
    // A usage error in mid-run means that another job has taken the folder over: it is that job's now.
    if (error.kind() == ErrorKind::kUsage) return;
    const comm::Topology& topology = job_.comm->topology();
    std::string where = error.where();
    if (const auto diagnosis = watchdog_->verdict(); where.empty() && diagnosis && !diagnosis->culprits.empty())
      where = comm::RanksOnHosts(diagnosis->culprits, topology);
    if (where.empty()) where = fmt::format("rank {} on {}", topology.rank, topology.host_of[static_cast<size_t>(topology.rank)]);
    folder_.WriteVerdict({verdict_.attempt(), error.exit_code(), error.message(), where, step});
  }

  const Job& job_;
  const Verdict& verdict_;
  comm::FlightRecorder& recorder_;
  Coordinator* coordinator_;
  RunFolder folder_;
  std::optional<comm::Watchdog> watchdog_;
};

}  // namespace

Outcome Train(const Job& job) {
  comm::Communicator& comm = *job.comm;
  Recording recording(comm);
  recording.recorder().EnterPhase(comm::Phase::COMPARING_RANKS);
  std::optional<Coordinator> coordinator;
  if (comm.rank() == 0) coordinator.emplace(job, *job.files, LengthOf(job).total_steps);
  Coordinator* leader = coordinator ? &*coordinator : nullptr;
  const Verdict verdict = Handshake(job, *job.files, leader);
  if (!verdict.done_line().empty()) return {comm.rank() == 0 ? verdict.done_line() : "", 0};
  StartLog(RunFolder(FileSystem::Real(), job.folder).log(comm.rank()), comm.rank() == 0, comm.rank());
  return Attempt(job, verdict, recording.recorder(), leader).Run();
}

}  // namespace lockstep::loop
