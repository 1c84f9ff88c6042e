// Replay: reruns steps of a run from one of its checkpoints, writes nothing into the run's folder, and compares the
// weights with the run's certificate, to find the first step, tensor and rank where the two part.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "trainer/run/job.h"

namespace lockstep::run {

struct ReplayOptions {
  std::string checkpoint;   ///< a checkpoint's folder, or a run's: then its newest good one at or before `first`
  std::string certificate;  ///< the file to compare with; empty: none
  std::string record;       ///< where to write what was computed, as a certificate; empty: nowhere
  /// Finished steps: rows from `first` to `last`, both included, are compared.
  uint64_t first = 0, last = 0;
  uint64_t every =
      0;  ///< also hash the weights at multiples of this, and at `first` and `last`; 0: only at the certificate's
};

struct ReplayResult {
  /// "steps 100 to 300 agree with the certificate", or "first difference: step 200, tensor conv1.weight (owned by rank
  /// 1 on h1)". On rank 0.
  std::string line;
  int exit_code = 0;  ///< 0: no difference; 1: one. On all ranks.
};

/// Collective. `say` gets a line for each step that was looked at, on rank 0. Stops at the first difference, unless it
/// records. Throws Error(kUsage) where there is nothing to compare or to record, or the checkpoint is later than
/// `first`; Error(kCheckpoint); and what training throws.
ReplayResult Replay(const Job& job, const ReplayOptions& options, const std::function<void(const std::string&)>& say);

}  // namespace lockstep::run
