// What to do after a job ended: pure, so that every case can be tested without one.
//
// Whatever would happen again is not tried again: that follows from the kind of error that the ranks' verdict names
// (ErrorKindInfo::may_pass), and without one from the exit code. Everything else (a killed rank, a lost host, a hang, a
// disk that fails, an internal error) begins anew at the newest good checkpoint, later each time while no step is
// gained.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "trainer/records/run_records.h"

namespace lockstep::launch {

inline constexpr int kDone = 0, kInterrupted = 130;
inline const int kMemoryCode = ExitCodeOf(ErrorKind::kMemory), kPeerCode = ExitCodeOf(ErrorKind::kPeer),
                 kPreempted = ExitCodeOf(ErrorKind::kPreempted);

/// How one start ended, as far as what is done next depends on it.
struct StartOutcome {
  int launcher_code = 0;                          ///< mpirun's or srun's: 128 + signal where one ended it or a rank
  std::optional<records::AttemptEnding> verdict;  ///< of a verdict.json that this start wrote
  bool stop_asked = false;                        ///< this process had got a signal and passed it on
  bool interrupted = false;                       ///< a second SIGINT: ended without saving
  bool out_of_memory = false;                     ///< the kernel killed a rank for want of memory
  uint64_t progress = 0;  ///< the last step that is known: of the newest checkpoint or row of metrics
};

struct Decision {
  enum Action { kFinish, kRestart };
  Action action = kFinish;
  int exit_code = 0;      ///< for kFinish
  int delay_seconds = 0;  ///< for kRestart
  std::string reason;     ///< words for a person; empty where there is nothing to say
};

class RestartPolicy {
 public:
  struct Options {
    int max_restarts = -1;           ///< in all; -1: as many as there is progress
    int tries_without_progress = 3;  ///< in a row, then it gives up
    bool stop_is_callers =
        false;  ///< a stop in time that no signal to this process asked for is not its to undo: a time limit's
  };
  /// `first_progress`: the last step that was known before the first start.
  explicit RestartPolicy(const Options& options, uint64_t first_progress = 0)
      : options_(options), best_(first_progress) {}

  Decision After(const StartOutcome& outcome);
  int restarts() const { return restarts_; }

 private:
  Options options_;
  uint64_t best_;
  int restarts_ = 0, without_progress_ = 0;
};

/// What a start ended with: its own words where it left some, else the launcher's code.
int EffectiveCode(const StartOutcome& outcome);
/// Nothing where it is done, or no Error ended it (a signal).
std::optional<ErrorKind> EffectiveKind(const StartOutcome& outcome);

}  // namespace lockstep::launch
