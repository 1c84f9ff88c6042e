// What an executor does, as the flight recorder knows it; nothing any more at the scope's end.
#pragma once

#include "comm/flight_recorder.h"

namespace lockstep::step {

class ExecutorPhase {
 public:
  /// `recorder` may be null.
  ExecutorPhase(comm::FlightRecorder* recorder, int executor) : recorder_(recorder), executor_(executor) {}
  ~ExecutorPhase() {
    if (recorder_ != nullptr) recorder_->LeaveExecutorPhase(executor_);
  }
  void Enter(comm::Phase::Value phase) {
    if (recorder_ != nullptr) recorder_->EnterExecutorPhase(executor_, phase);
  }

 private:
  comm::FlightRecorder* recorder_;
  int executor_;
};

}  // namespace lockstep::step
