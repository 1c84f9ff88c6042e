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
#include "data/ledger.h"
#include "trainer/loop/agreement.h"
#include "trainer/loop/coordinator.h"
#include "trainer/loop/early_stopping.h"
#include "trainer/loop/handshake.h"
#include "trainer/loop/job_plans.h"
#include "trainer/loop/lane_plan.h"
#include "trainer/loop/reporter.h"
#include "trainer/loop/session.h"
#include "trainer/loop/stepper.h"

namespace lockstep::loop {
namespace {

using std::chrono::steady_clock;

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

class Worker {
 public:
  Worker(const Job& job, JobPlans plans, const Verdict& verdict);
  std::string Run();

 private:
  bool leads() const { return job_.comm->rank() == 0; }
  double EpochAt(uint64_t step) const { return static_cast<double>(step) / length_.steps_per_epoch; }
  bool EvaluationDue(uint64_t step) const;
  bool CheckpointDue(uint64_t step) const;

  void LoadOrInitialize();
  void StartLoader();
  void Step();
  void EvaluateSplits();
  void Observe(const checkpoint::Evaluation& evaluation);
  void SaveCheckpoint();
  std::string Finish();

  /// Swaps `array` of the owned state with the weights, on all ranks.
  void SwapWeights(int array);
  /// The array whose weights evaluations mean: the EMA's; -1: the weights themselves.
  int EvaluatedArray() const { return optimizer_.ema_index(); }
  int BestArray() const { return job_.train.has_early_stopping() ? static_cast<int>(state_.arrays().size()) - 1 : -1; }
  uint64_t WeightsHash();

  const Job& job_;
  FileSystem& files_ = FileSystem::Real();
  RunFolder folder_;
  Verdict verdict_;
  optim::RunLength length_;
  Session session_;
  optim::Optimizer optimizer_;
  OwnedState state_;
  Stepper stepper_;
  data::Ledger ledger_;
  checkpoint::LoopState loop_;
  uint64_t step_ = 0;        ///< finished steps
  uint64_t saved_step_ = 0;  ///< of the newest checkpoint
  std::unique_ptr<data::Loader> loader_;
  std::unique_ptr<Coordinator> coordinator_;  ///< rank 0
  std::unique_ptr<Reporter> reporter_;        ///< rank 0
  std::vector<double> step_seconds_;
  steady_clock::time_point start_;
};

Worker::Worker(const Job& job, JobPlans plans, const Verdict& verdict)
    : job_(job),
      folder_(files_, job.folder),
      verdict_(verdict),
      length_(LengthOf(job)),
      session_(job, std::move(plans), {verdict.executors().begin(), verdict.executors().end()}),
      optimizer_(job.optimizer, MakeSegments(session_.plans(), job.optimizer), length_,
                 static_cast<int>(job.train.lanes())),
      state_(session_.exchange().slices(), job.comm->rank(), StateArrays(optimizer_, job.train)),
      stepper_(job, session_, optimizer_, state_),
      ledger_(job.splits.train->size()) {
  if (!leads()) return;
  coordinator_ = std::make_unique<Coordinator>(job, files_, length_.total_steps);
  Reporter::Options options;
  options.metrics_path = folder_.metrics();
  options.attempt = verdict.attempt();
  options.total_steps = length_.total_steps;
  options.total_epochs = EpochAt(length_.total_steps);
  options.terminal = job.terminal;
  options.quiet = job.quiet;
  reporter_ = std::make_unique<Reporter>(std::move(options));
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
    step_ = saved_step_ = reader->manifest().step();
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

std::string Worker::Run() {
  const comm::Topology& topology = session_.comm().topology();
  LogInfo("attempt {}: rank {} of {} on {}, lanes {} to {}, {} executors, from step {} of {}", verdict_.attempt(), topology.rank,
          topology.world_size, topology.host_of[static_cast<size_t>(topology.rank)], session_.lanes().begin,
          session_.lanes().end - 1, session_.pool().size(), verdict_.resume_step(), length_.total_steps);
  LoadOrInitialize();
  StartLoader();
  start_ = steady_clock::now();
  while (step_ < length_.total_steps && !loop_.stopped_early()) {
    Step();
    if (EvaluationDue(step_)) EvaluateSplits();
    if (CheckpointDue(step_)) SaveCheckpoint();
  }
  return Finish();
}

void Worker::Step() {
  const auto begin = steady_clock::now();
  const uint64_t every = job_.train.log_every_steps();
  const bool logged = (step_ + 1) % every == 0 || step_ + 1 == length_.total_steps;
  const StepResult result = stepper_.Run(step_, loop_.updates_applied(), logged, 0, *loader_);

  std::vector<data::LaneDelivery> deliveries;
  for (const LaneRecord& lane : result.record.lanes) deliveries.push_back(lane.delivery);
  ledger_.Add(step_, deliveries, (step_ + 1) * job_.train.global_batch());
  const double rate = optimizer_.LearningRate(step_);
  ++step_;
  loop_.set_updates_applied(loop_.updates_applied() + 1);
  step_seconds_.push_back(SecondsSince(begin));
  if (!leads()) return;

  StepRow row;
  row.step = step_;
  row.epoch = EpochAt(step_);
  row.loss = result.loss;
  row.accuracy = result.accuracy;
  row.learning_rate = rate;
  row.samples_per_s = static_cast<double>(job_.train.global_batch()) / step_seconds_.back();
  row.grad_norm = result.grad_norm;
  if (logged) reporter_->Log(row);
  reporter_->Progress(row);
}

bool Worker::EvaluationDue(uint64_t step) const {
  if (!job_.splits.test && !job_.splits.validation) return false;
  if (step == length_.total_steps) return true;
  if (const uint64_t every = job_.train.evaluate_every_steps(); every > 0) return step % every == 0;
  const uint64_t size = job_.splits.train->size(), batch = job_.train.global_batch();
  return step * batch / size > (step - 1) * batch / size;
}

bool Worker::CheckpointDue(uint64_t step) const {
  const uint64_t every = job_.checkpoint.every_steps();
  return every > 0 && step % every == 0 && step < length_.total_steps && !loop_.stopped_early();
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

void Worker::EvaluateSplits() {
  const int array = EvaluatedArray();
  if (array >= 0) SwapWeights(array);
  std::vector<checkpoint::Evaluation> evaluations;
  if (job_.splits.validation) evaluations.push_back(session_.Evaluate("validation", step_));
  if (job_.splits.test) evaluations.push_back(session_.Evaluate("test", step_));
  if (array >= 0) SwapWeights(array);
  for (const checkpoint::Evaluation& evaluation : evaluations)
    if (leads()) reporter_->Log(evaluation, EpochAt(step_));
  Observe(evaluations.front());  // validation where there is one, else test
  loop_.clear_evaluations();
  for (const checkpoint::Evaluation& evaluation : evaluations) *loop_.add_evaluations() = evaluation;
}

void Worker::Observe(const checkpoint::Evaluation& evaluation) {
  if (!job_.train.has_early_stopping()) return;
  EarlyStoppingRule rule(job_.train.early_stopping(), loop_);
  if (rule.Observe(evaluation)) {
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

uint64_t Worker::WeightsHash() { return engine::HashWeights(session_.layout(), session_.exchange().weights().data()); }

void Worker::SaveCheckpoint() {
  const std::string folder = folder_.checkpoint(step_);
  const comm::Topology& topology = session_.comm().topology();
  checkpoint::Receipt receipt;
  try {
    *receipt.mutable_file() = checkpoint::WriteShard(files_, folder, static_cast<uint32_t>(topology.rank), verdict_.attempt(),
                                                     topology.host_of[static_cast<size_t>(topology.rank)],
                                                     state_.Ranges(session_.exchange().weights()));
  } catch (const Error& error) {
    receipt.set_error(error.what());
  }
  std::vector<checkpoint::Receipt> receipts;
  const std::string what = fmt::format("the checkpoint of step {}", step_);
  for (const std::string& bytes : comm::GatherStrings(session_.comm(), receipt.SerializeAsString(), what))
    receipts.emplace_back().ParseFromString(bytes);

  std::string failure;
  if (leads()) {
    checkpoint::Manifest manifest;
    manifest.set_step(step_);
    manifest.set_attempt(verdict_.attempt());
    manifest.set_world_size(static_cast<uint32_t>(topology.world_size));
    manifest.set_lockstep_version(std::string(Version()));
    manifest.set_build_hash(std::string(BuildHash()));
    manifest.set_recipe_hash(HashText(Hash64(job_.recipe.identity)));
    manifest.set_weights_hash(HashText(WeightsHash()));
    DescribeTensors(session_.layout(), manifest);
    manifest.add_arrays("weights");
    for (const std::string& array : state_.arrays()) manifest.add_arrays(array);
    *manifest.mutable_loop() = loop_;
    manifest.mutable_loop()->set_ledger(ledger_.Serialize());
    try {
      coordinator_->Commit(std::move(manifest), receipts, folder);
      checkpoint::RemoveOld(files_, folder_.checkpoints(), static_cast<int>(job_.checkpoint.keep()), {});
    } catch (const Error& error) {
      failure = error.what();
    }
  }
  failure = comm::BroadcastString(session_.comm(), failure, 0, what);
  // No rank writes any more: what there is of the checkpoint only takes room.
  if (!failure.empty() && leads()) checkpoint::DiscardUnfinished(files_, folder);
  if (failure.empty()) {
    saved_step_ = step_;
    LogInfo("checkpoint of step {} committed", step_);
  } else if (job_.checkpoint.on_write_error() == checkpoint::STOP) {
    if (!leads()) throw comm::PeerAborted(0, static_cast<int>(ErrorKind::kCheckpoint));
    throw Error(ErrorKind::kCheckpoint, fmt::format("the checkpoint of step {} could not be written: {}", step_, failure), "",
                "make room and start again: the run resumes from the newest good checkpoint");
  } else if (leads()) {
    LogWarning("the checkpoint of step {} could not be written: {}; training goes on, older checkpoints are untouched", step_, failure);
  }
}

std::string Worker::Finish() {
  const bool best = BestArray() >= 0 && loop_.has_best();
  const std::string split = job_.splits.reported_name();
  // The last checkpoint holds the state from which training could go on; what is reported are the weights that evaluation means.
  checkpoint::Evaluation evaluation;
  for (const checkpoint::Evaluation& candidate : loop_.evaluations())
    if (candidate.split() == split && candidate.step() == step_) evaluation = candidate;
  const int array = best ? BestArray() : EvaluatedArray();
  if (array >= 0) SwapWeights(array);
  if (best || evaluation.split().empty()) evaluation = session_.Evaluate(split, step_);
  const double seconds = SecondsSince(start_);
  ResultLine line;
  line.weights = WeightsHash();
  if (array >= 0) SwapWeights(array);
  if (saved_step_ != step_ || step_ == 0) SaveCheckpoint();
  if (!leads()) return "";

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
  folder_.WriteDone({text, HashText(Hash64(job_.recipe.identity)), step_});
  return text;
}

}  // namespace

std::string Train(const Job& job) {
  comm::Communicator& comm = *job.comm;
  const Verdict verdict = Handshake(job, FileSystem::Real(), LengthOf(job).total_steps);
  if (!verdict.done_line().empty()) return comm.rank() == 0 ? verdict.done_line() : "";
  StartLog(RunFolder(FileSystem::Real(), job.folder).log(comm.rank()), comm.rank() == 0, comm.rank());
  std::optional<JobPlans> plans;
  Together(comm, "the compilation of the model", [&] {
    plans = CompileJob(job);
    const comm::Topology& topology = comm.topology();
    CheckMemory(job, *plans, PlanLanes(static_cast<int>(job.train.lanes()), {verdict.executors().begin(), verdict.executors().end()}),
                topology.nodes[static_cast<size_t>(topology.node())], MemoryLimit());
  });
  Worker worker(job, std::move(*plans), verdict);
  return worker.Run();
}

}  // namespace lockstep::loop
