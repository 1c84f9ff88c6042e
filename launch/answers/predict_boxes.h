// Answers of a detector: the boxes in JPEG and PNG files, as lines, and drawn into the pictures.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/answers/box_writer.h"
#include "launch/answers/measure_boxes.h"
#include "launch/job/trained_run.h"

namespace lockstep::launch {

struct BoxesOptions {
  std::vector<std::string> inputs;  ///< files, and folders with pictures in and below them
  BoxFormat format = BoxFormat::kText;
  double least_score = kShownScore;  ///< of boxes that are answered
  std::string draw;                  ///< the folder that drawn pictures go to; empty: none are drawn
  int threads = 1;
};

/// Hands lines to `take` as they are there, in the order of the inputs, of a folder in that of their paths. Pictures
/// are drawn into PNG files of their names. Throws Error(kData) where a file can't be read or decoded, or a folder has
/// none, and Error(kUsage) where pictures can't be drawn into `draw`. REQUIRES: run.Detects().
void PredictBoxes(const TrainedRun& run, const BoxesOptions& options,
                  const std::function<void(const std::string& lines)>& take);

}  // namespace lockstep::launch
