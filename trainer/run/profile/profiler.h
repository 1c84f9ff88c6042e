// Which steps of an attempt are profiled (a recipe's `profile`), and what becomes of them: records of what each thread
// does, clocks compared before and behind, a file for each rank in the run's folder.
#pragma once

#include <cstdint>
#include <memory>

#include "trainer/profile/event_log.h"
#include "trainer/records/profile_record.h"
#include "trainer/records/run_folder.h"
#include "trainer/run/job.h"
#include "trainer/step/training.h"

namespace lockstep::run {

class Profiler {
 public:
  /// Of attempt `attempt`. All outlive it.
  Profiler(const Job& job, records::RunFolder& folder, FileSystem& files, uint32_t attempt, step::Training& training);

  /// Before and after each step, and where the attempt ends before what was asked for is there. Collective.
  void BeforeStep();
  void AfterStep();
  void End();

  /// Of the communicating thread, for what happens between steps; null where nothing is recorded.
  profile::EventLog* log() { return recording_ == nullptr ? nullptr : &recording_->communicating; }

 private:
  void Begin();
  records::RankProfile Take();

  const Job& job_;
  records::RunFolder& folder_;
  FileSystem& files_;
  const uint32_t attempt_;
  step::Training& training_;
  uint64_t waiting_;    ///< steps until it begins
  uint64_t remaining_;  ///< steps to be profiled from then on
  uint64_t first_step_ = 0;
  records::ClockReading before_;
  std::unique_ptr<profile::Recording> recording_;
};

}  // namespace lockstep::run
