// The worker: what every rank runs in an attempt. It takes up the checkpoint or begins, walks the steps, and between
// them evaluates, writes checkpoints, and stops when a rank was asked to.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/flight_recorder.h"
#include "trainer/evaluate/evaluations.h"
#include "trainer/plan/job_plans.h"
#include "trainer/records/run_folder.h"
#include "trainer/run/checkpointer.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/job.h"
#include "trainer/run/profile/profiler.h"
#include "trainer/run/progress/evaluation_progress.h"
#include "trainer/run/progress/power_log.h"
#include "trainer/run/progress/recent_median.h"
#include "trainer/run/progress/reporter.h"
#include "trainer/run/progress/step_log.h"
#include "trainer/run/progress/straggler.h"
#include "trainer/run/start.h"
#include "trainer/run/stop_clock.h"
#include "trainer/step/training.h"

namespace lockstep::run {

struct Outcome {
  std::string line;   ///< the done line, on rank 0 of a run that is done
  int exit_code = 0;  ///< 75 (ErrorKind::kPreempted) where the run was asked to stop and can go on
};

class Worker {
 public:
  /// Collective. `coordinator`: on rank 0, else null.
  Worker(const Job& job, const Start& start, plan::JobPlans plans, const StartPlan& start_plan,
         Coordinator* coordinator);

  /// Until the run is done or stopped. Collective.
  Outcome Run();
  uint64_t step() const { return training_.step(); }  ///< finished steps

 private:
  comm::Communicator& comm() const { return *job_.place.comm; }
  bool leads() const { return job_.place.comm->rank() == 0; }
  double EpochAt(uint64_t step) const { return length_.EpochAt(step); }
  /// Samples through all steps so far, and of the last one.
  uint64_t Position() const { return job_.splits.batches->FirstPosition(step()); }
  uint64_t LastSamples() const { return Position() - job_.splits.batches->FirstPosition(step() - 1); }
  bool Ended() const { return step() >= length_.total_steps || training_.loop().stopped_early(); }
  void Enter(comm::Phase::Value phase);

  void Begin();
  bool Logged(uint64_t step) const;
  void Step();
  void FillRecord(step::RankRecord& record);
  void Certify();
  void Report(const step::StepResult& result, double seconds, bool logged);

  bool EvaluationDue() const;
  /// False where a rank was asked to stop meanwhile.
  bool EvaluateSplits();
  bool Evaluate(const std::string& split, checkpoint::Evaluation* evaluation);
  void Observe(const checkpoint::Evaluation& evaluation);

  bool CheckpointDue() const;
  checkpoint::Manifest MakeManifest() const;
  std::vector<uint64_t> PinnedSteps() const;
  void SaveInBackground();
  void SaveNow();

  Outcome StopHere();
  Outcome Finish();
  ResultLine MakeResult(const checkpoint::Evaluation& evaluation, uint64_t weights, double seconds) const;
  [[noreturn]] void EndUnsaved(const ResultLine& result) const;
  void WriteDown(const ResultLine& result);
  void WriteTimes();

  const Job& job_;
  const Start& start_;
  FileSystem& files_;
  records::RunFolder folder_;
  StartPlan start_plan_;
  const optim::RunLength length_;
  step::Training training_;
  EvaluationProgress evaluation_progress_;
  evaluate::Evaluations evaluations_;
  bool stopping_ = false;        ///< all ranks have agreed to
  bool checkpoint_due_ = false;  ///< by time, or because the weights are the best so far
  bool saved_is_old_ = false;    ///< the checkpoint of this step lacks its evaluation
  uint64_t hashed_step_ = 0;     ///< at which the weights' hash was taken:
  std::string weights_hash_;
  double checkpoint_seconds_ = 0;  ///< waited for checkpoints since the last logged step
  double data_seconds_ = 0;        ///< waited for samples since then, in each step the rank that waited longest
  StopClock clock_;
  StragglerWatch stragglers_;
  std::unique_ptr<EnergyMeter> meter_;
  PowerLog power_;                      ///< rank 0's
  StepLog step_log_;                    ///< rank 0's
  Coordinator* coordinator_;            ///< rank 0
  std::unique_ptr<Reporter> reporter_;  ///< rank 0
  Checkpointer checkpointer_;
  Profiler profiler_;
  RecentMedian samples_per_s_, tokens_per_s_;  ///< of the steps of this start
  std::chrono::steady_clock::time_point begun_, last_save_;
  bool warned_of_grace_ = false;
};

}  // namespace lockstep::run
