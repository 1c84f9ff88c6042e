#include "trainer/run/worker.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/build_info.h"
#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop_signals.h"
#include "trainer/run/core_messages.h"
#include "trainer/run/early_stopping.h"
#include "trainer/run/handshake.h"

namespace lockstep::run {
namespace {

using std::chrono::steady_clock;

// What a rank's record says where its time is over, instead of a signal's number.
constexpr int kStopTime = -1;

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

}  // namespace

Worker::Worker(const Job& job, const Start& start, plan::JobPlans plans, const StartPlan& start_plan,
               Coordinator* coordinator)
    : job_(job),
      start_(start),
      files_(*start.files),
      folder_(files_, start.folder),
      start_plan_(start_plan),
      length_(job.splits.length),
      training_({job.config, job.splits, job.model, job.place}, std::move(plans), CorePlanOf(start_plan)),
      evaluation_progress_({start.terminal, start.quiet || coordinator == nullptr}),
      evaluations_(job.splits, job.model.task, job.make_scorer, training_.compute(),
                   [this](const std::string& split, double share) { evaluation_progress_.Show(split, share); }),
      clock_(start.stop_before),
      stragglers_(job.place.comm->topology(), job.config.watchdog.straggler_factor()),
      meter_(MakeMeter(job.place)),
      step_log_(coordinator == nullptr ? comm::Topology() : job.place.comm->topology(), start_plan.attempt(),
                start_plan.resume_step(),
                length_.total_steps - std::min(length_.total_steps, start_plan.resume_step())),
      coordinator_(coordinator),
      checkpointer_(job, start, start_plan.attempt(), training_.owned(), coordinator),
      profiler_(job, folder_, files_, start_plan.attempt(), training_) {
  // Until a save was measured: as on a slow disk.
  const double bytes = static_cast<double>(training_.owned().owned()) *
                       static_cast<double>(training_.owned().arrays().size() + 1) * sizeof(float);
  clock_.NoteSave(0.5 + bytes / 50e6);
  if (!leads()) return;
  Reporter::Options options;
  options.metrics_path = folder_.metrics();
  options.attempt = start_plan.attempt();
  options.total_steps = length_.total_steps;
  options.total_epochs = EpochsTrained(length_, length_.total_steps, job_.config.train.epochs());
  options.terminal = start.terminal;
  options.quiet = start.quiet;
  if (!job.config.metrics.has_tensorboard() || job.config.metrics.tensorboard())
    options.events = std::make_unique<records::EventFile>(
        files_, records::EventFile::Options{folder_.tensorboard(), comm().topology().host_name(), start_plan.attempt(),
                                            start_plan.has_checkpoint() ? start_plan.resume_step() : 0});
  reporter_ = std::make_unique<Reporter>(std::move(options));
}

void Worker::Enter(comm::Phase::Value phase) { comm().recorder().EnterPhase(phase, static_cast<int64_t>(step())); }

/// Takes up the checkpoint of the start plan, or begins at step 0.
void Worker::Begin() {
  const comm::Topology& topology = comm().topology();
  LogInfo("attempt {}: rank {} of {} on {}, lanes {} to {}, {} executors, from step {} of {}", start_plan_.attempt(),
          topology.rank, topology.world_size, topology.host_name(), training_.executors().lanes().begin,
          training_.executors().lanes().end - 1, training_.executors().size(), start_plan_.resume_step(),
          length_.total_steps);
  Enter(comm::Phase::LOADING_CHECKPOINT);
  if (start_plan_.has_checkpoint()) {
    training_.Load([&] { return checkpoint::Reader::Open(files_, folder_.checkpoint(start_plan_.resume_step())); });
    checkpointer_.set_saved_step(step());
    if (leads()) LogNote("resuming from step {} of {}", step(), length_.total_steps);
  } else {
    training_.Initialize();
  }
  if (leads()) coordinator_->BeginCertificate(training_.layout(), step());
  training_.StartLoader(length_.total_steps);
  PollStopSignals();
  begun_ = last_save_ = steady_clock::now();
}

Outcome Worker::Run() {
  Begin();
  // A stop may have come between a step and its evaluation, which that step's checkpoint lacks then.
  if (step() > 0 && EvaluationDue()) {
    if (!EvaluateSplits()) return StopHere();
    saved_is_old_ = true;
  }
  while (!Ended()) {
    Enter(comm::Phase::COMPUTING);
    profiler_.BeforeStep();
    Step();
    profiler_.AfterStep();
    comm().recorder().SetWarmingUp(false);
    if (stopping_) return StopHere();
    if (EvaluationDue() && !EvaluateSplits()) return StopHere();
    if (CheckpointDue()) SaveInBackground();
  }
  return Finish();
}

bool Worker::Logged(uint64_t step) const {
  return step % job_.config.train.log_every_steps() == 0 || step == length_.total_steps;
}

void Worker::Step() {
  const auto begin = steady_clock::now();
  const bool logged = Logged(step() + 1);
  const step::StepResult result = training_.Step(logged, [this](step::RankRecord& record) { FillRecord(record); });
  saved_is_old_ = false;
  stopping_ = result.record.stop();
  checkpoint_due_ = result.record.ranks.front().checkpoint_due != 0;
  checkpointer_.Advance(result.record.checkpoint_written(), result.record.ranks.front().checkpoint_settled != 0);
  if (const uint64_t k = job_.config.train.certificate_every_steps(); k > 0 && step() % k == 0) Certify();
  Report(result, SecondsSince(begin), logged);
}

void Worker::FillRecord(step::RankRecord& record) {
  record.checkpoint_written = checkpointer_.written();
  if (Logged(step() + 1)) record.joules = ReadMeter(job_.place, meter_.get());
  record.stop = StopSignal();
  // Whichever rank was told when the job ends.
  if (clock_.Due(StopClock::Clock::now())) record.stop = kStopTime;
  if (!leads()) return;
  record.checkpoint_settled = checkpointer_.settled();
  const double every_minutes = job_.config.checkpoint.every_minutes();
  record.checkpoint_due =
      every_minutes > 0 && SecondsSince(last_save_) >= 60 * every_minutes && !checkpointer_.in_flight();
}

void Worker::Certify() {
  const profile::EventScope comparing(profiler_.log(), profile::What::kCertify);
  const uint64_t weights = training_.CompareHosts();
  weights_hash_ = HashText(weights);
  hashed_step_ = step();
  training_.NoteWeights();
  if (leads() && coordinator_->certificate().Due(step()))
    coordinator_->certificate().Add({step(), weights, training_.ledger().chain(),
                                     records::HashTensors(training_.layout(), training_.weights().data())});
}

void Worker::Report(const step::StepResult& result, double seconds, bool logged) {
  const double samples_per_s = static_cast<double>(LastSamples()) / seconds;
  samples_per_s_.Add(samples_per_s);
  tokens_per_s_.Add(static_cast<double>(plan::TokensOf(job_.splits, job_.model.task, step() - 1)) / seconds);
  checkpoint_seconds_ += checkpointer_.TakeWaitedSeconds();
  clock_.NoteStep(seconds);
  if (leads()) coordinator_->lease().NoteStep(step());
  if (checkpointer_.save_seconds() > 0) clock_.NoteSave(checkpointer_.save_seconds());
  if (!leads()) return;
  if (const std::string line = stragglers_.Observe(result.record.ranks); !line.empty()) LogWarning("{}", line);
  step_log_.Add(seconds, LastSamples(), result.record.ranks);
  StepRow row;
  row.step = step();
  row.epoch = EpochAt(step());
  row.loss = result.loss;
  row.accuracy = result.accuracy;
  row.learning_rate = training_.optimizer().LearningRate(step() - 1);
  row.samples_per_s = samples_per_s;
  row.grad_norm = result.grad_norm;
  row.checkpoint_seconds = checkpoint_seconds_;
  data_seconds_ += std::max_element(result.record.ranks.begin(), result.record.ranks.end(), [](auto& a, auto& b) {
                     return a.times.data < b.times.data;
                   })->times.data;
  row.data_seconds = data_seconds_;
  if (logged) {
    row.power = power_.Take(result.record.joules(), Position(), steady_clock::now());
    reporter_->Log(row);
    checkpoint_seconds_ = data_seconds_ = 0;
  }
  reporter_->Progress(row);
}

bool Worker::EvaluationDue() const {
  if (!job_.splits.test && !job_.splits.validation) return false;
  for (const checkpoint::Evaluation& evaluation : training_.loop().evaluations())
    if (evaluation.step() == step()) return false;
  if (step() == length_.total_steps) return true;
  if (const uint64_t every = job_.config.train.evaluate_every_steps(); every > 0) return step() % every == 0;
  const uint64_t size = job_.splits.train->size();
  return Position() / size > (Position() - LastSamples()) / size;
}

bool Worker::CheckpointDue() const {
  const uint64_t every = job_.config.checkpoint.every_steps();
  return !Ended() && (checkpoint_due_ || (every > 0 && step() % every == 0));
}

bool Worker::Evaluate(const std::string& split, checkpoint::Evaluation* evaluation) {
  std::optional<checkpoint::Evaluation> result = evaluations_.Evaluate(split, step());
  evaluation_progress_.End();
  if (result) *evaluation = *result;
  return result.has_value();
}

bool Worker::EvaluateSplits() {
  Enter(comm::Phase::EVALUATING);
  const profile::EventScope evaluating(profiler_.log(), profile::What::kEvaluate);
  const int array = training_.EvaluatedArray();
  std::vector<std::string> splits;  // the one that steers first
  if (job_.splits.validation) splits.push_back("validation");
  if (job_.splits.test) splits.push_back("test");
  std::vector<checkpoint::Evaluation> evaluations;
  if (array >= 0) training_.SwapWeights(array);
  std::vector<double> seconds;
  const bool complete = std::all_of(splits.begin(), splits.end(), [&](const std::string& split) {
    const auto begin = steady_clock::now();
    const bool evaluated = Evaluate(split, &evaluations.emplace_back());
    seconds.push_back(SecondsSince(begin));
    return evaluated;
  });
  if (array >= 0) training_.SwapWeights(array);
  if (!complete) return false;
  for (size_t i = 0; leads() && i < evaluations.size(); ++i)
    reporter_->Log(evaluations[i], EpochAt(step()), seconds[i]);
  Observe(evaluations.front());
  training_.loop().clear_evaluations();
  for (const checkpoint::Evaluation& evaluation : evaluations) *training_.loop().add_evaluations() = evaluation;
  return true;
}

void Worker::Observe(const checkpoint::Evaluation& evaluation) {
  const bool stops = job_.config.train.has_early_stopping(), saves = job_.config.checkpoint.when() == checkpoint::BEST;
  if (!stops && !saves) return;
  EarlyStoppingRule rule(job_.config.train.early_stopping(), training_.loop());
  const bool best = rule.Observe(evaluation);
  checkpoint_due_ |= best && saves;
  if (!stops) return;
  if (best) training_.KeepBest();
  if (rule.ShouldStop() && step() < length_.total_steps) {
    training_.loop().set_stopped_early(true);
    if (leads())
      LogNote("stopping early: no gain in {} evaluations; the best weights are those of step {}",
              training_.loop().evaluations_without_gain(), training_.loop().best_step());
  }
}

checkpoint::Manifest Worker::MakeManifest() const {
  checkpoint::Manifest manifest;
  if (!leads()) return manifest;
  manifest.set_attempt(start_plan_.attempt());
  manifest.set_world_size(static_cast<uint32_t>(comm().world_size()));
  manifest.set_lockstep_version(std::string(Version()));
  manifest.set_build_hash(std::string(BuildHash()));
  manifest.set_recipe_hash(job_.config.identity.Hash());
  // Hashing all weights takes as long as copying them: only where it was done anyway.
  if (hashed_step_ == step()) manifest.set_weights_hash(weights_hash_);
  training_.Describe(manifest);
  return manifest;
}

std::vector<uint64_t> Worker::PinnedSteps() const {
  std::vector<uint64_t> pinned;
  if (!leads()) return pinned;
  if (job_.config.checkpoint.when() == checkpoint::BEST && training_.loop().has_best())
    pinned.push_back(training_.loop().best_step());
  return pinned;
}

void Worker::SaveInBackground() {
  Enter(comm::Phase::SAVING_CHECKPOINT);
  const profile::EventScope saving(profiler_.log(), profile::What::kCheckpoint);
  const auto begin = steady_clock::now();
  checkpointer_.Drain();
  checkpointer_.Begin(step(), training_.weights(), training_.StartFetch(), MakeManifest(), PinnedSteps());
  checkpoint_seconds_ += SecondsSince(begin);
  last_save_ = begin;
  if (leads() && start_.grace_seconds > 0 && checkpointer_.save_seconds() > start_.grace_seconds &&
      !std::exchange(warned_of_grace_, true))
    LogWarning(
        "a checkpoint takes {:.1f} s, longer than the {:.0f} s between the signal to stop and the end: give more time",
        checkpointer_.save_seconds(), start_.grace_seconds);
}

void Worker::SaveNow() {
  Enter(comm::Phase::SAVING_CHECKPOINT);
  checkpointer_.Drain();
  if (checkpointer_.saved_step() == step() && step() > 0 && !saved_is_old_) return;
  if (hashed_step_ != step() || step() == 0) Certify();
  training_.FetchAll();
  checkpointer_.Save(step(), training_.weights(), MakeManifest(), PinnedSteps());
}

/// A report of times is not worth a run.
void Worker::WriteTimes() {
  try {
    if (step_log_.steps() > 0) WriteFileAtomically(files_, folder_.times(), records::FormatTimes(step_log_.Times()));
  } catch (const Error& error) {
    LogWarning("where time went can't be written down: {}", error.what());
  }
}

Outcome Worker::StopHere() {
  profiler_.End();
  SaveNow();
  if (leads()) WriteTimes();
  if (!leads()) return {"", static_cast<int>(ErrorKind::kPreempted)};
  const uint64_t saved = checkpointer_.saved_step();
  LogNote(
      "stopped at step {} of {}; {}; start again to go on", step(), length_.total_steps,
      saved == step() ? "its checkpoint is durable" : fmt::format("the newest checkpoint is that of step {}", saved));
  return {"", static_cast<int>(ErrorKind::kPreempted)};
}

Outcome Worker::Finish() {
  Enter(comm::Phase::FINISHING);
  profiler_.End();
  const bool best = training_.BestArray() >= 0 && training_.loop().has_best();
  const std::string split = job_.splits.reported_name();
  checkpoint::Evaluation evaluation;
  for (const checkpoint::Evaluation& candidate : training_.loop().evaluations())
    if (!best && candidate.split() == split && candidate.step() == step()) evaluation = candidate;
  // The last checkpoint holds the state from which training could go on; what is reported are the weights that
  // evaluation means.
  const int array = best ? training_.BestArray() : training_.EvaluatedArray();
  if (array >= 0) training_.SwapWeights(array);
  const bool evaluated = !evaluation.split().empty() || Evaluate(split, &evaluation);
  const double seconds = SecondsSince(begun_);
  training_.FetchWeights();
  const uint64_t weights = engine::HashWeights(training_.layout(), training_.weights().data());
  if (array >= 0) training_.SwapWeights(array);
  if (!evaluated) return StopHere();
  SaveNow();
  const ResultLine result = MakeResult(evaluation, weights, seconds);
  if (checkpointer_.saved_step() != step()) EndUnsaved(result);
  if (!leads()) return {};
  WriteTimes();
  WriteDown(result);
  return {Format(result), 0};
}

ResultLine Worker::MakeResult(const checkpoint::Evaluation& evaluation, uint64_t weights, double seconds) const {
  ResultLine result;
  result.name = job_.config.name;
  result.weights = weights;
  result.step = step();
  result.epoch = EpochsTrained(length_, step(), job_.config.train.epochs());
  result.evaluation = evaluation;
  result.seconds = seconds;
  if (!samples_per_s_.empty()) {
    result.samples_per_s = samples_per_s_.Get();
    result.tokens_per_s = tokens_per_s_.Get();
  }
  if (training_.BestArray() >= 0 && training_.loop().has_best()) result.best_step = training_.loop().best_step();
  return result;
}

/// The weights at the end are what a run is for: where they could not be saved, it isn't done.
void Worker::EndUnsaved(const ResultLine& result) const {
  if (!leads()) throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kCheckpoint));
  throw Error(
      ErrorKind::kCheckpoint,
      fmt::format("the run has come to its end, but its last checkpoint could not be written ({})", Format(result)),
      folder_.checkpoints(),
      fmt::format("make room and start again: it trains on from step {}, to the same weights",
                  checkpointer_.saved_step()));
}

/// That the run is done: from now on, starting it again only repeats its line.
void Worker::WriteDown(const ResultLine& result) {
  try {
    coordinator_->certificate().SetFinal(step(), result.weights, training_.ledger().chain());
    coordinator_->certificate().Write();
    folder_.WriteDone({Format(result), job_.config.identity.Hash(), step()});
  } catch (const Error& error) {
    throw Error(ErrorKind::kCheckpoint,
                fmt::format("the run is done, but this can't be written down: {}", error.message()), error.where(),
                "make room and start again: it takes up where its last checkpoint is");
  }
}

}  // namespace lockstep::run
