// An attempt of a run, from the start plan on. Whatever ends it, it is noted in the run folder: how, by the rank that
// knows why (rank 0 where nothing went wrong), and what each rank did last. Only a process that is killed, and an
// attempt whose run another job has taken over, leave no words.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "comm/flight_recorder.h"
#include "comm/watchdog.h"
#include "trainer/plan/job_plans.h"
#include "trainer/records/run_folder.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/job.h"
#include "trainer/run/start.h"
#include "trainer/run/worker.h"

namespace lockstep::run {

class Attempt {
 public:
  /// `plan` has an attempt. `coordinator` on rank 0, else null. All outlive this.
  Attempt(const Job& job, const Start& start, const StartPlan& plan, Coordinator* coordinator);

  /// Collective. Throws comm::PeerAborted where another rank has said what is wrong, else an Error, whatever was
  /// thrown.
  Outcome Run();

 private:
  Outcome Work();
  void StartWatchdog();
  plan::JobPlans Compile() const;
  void Record(const std::string& ending);
  void NoteFailure(const Error& error, uint64_t step) noexcept;
  /// Gives up after a few seconds: the process ends then.
  void NoteFailureInTime(const Error& error);

  const Job& job_;
  const Start& start_;
  const StartPlan& plan_;
  comm::FlightRecorder& recorder_;
  Coordinator* coordinator_;
  records::RunFolder folder_;
  std::optional<comm::Watchdog> watchdog_;
  bool trains_ = false;  ///< the start is over
  uint64_t step_;        ///< finished steps, as far as is known here
};

}  // namespace lockstep::run
