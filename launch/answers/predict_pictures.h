// Answers of a model of images: one for each JPEG or PNG file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/answers/answer_writer.h"
#include "launch/job/trained_run.h"

namespace lockstep::launch {

struct PicturesOptions {
  std::vector<std::string> inputs;  ///< files, and folders with pictures in and below them
  AnswerFormat format = AnswerFormat::kText;
  int threads = 1;
};

/// Hands lines to `take` as they are there, in the order of the inputs, of a folder in that of their paths. Pictures
/// are made to fit as those of an evaluation are. Throws Error(kData) where a file can't be read or decoded, or a
/// folder has none. REQUIRES: run.Predicts(), and that it was trained on images.
void PredictPictures(const TrainedRun& run, const PicturesOptions& options,
                     const std::function<void(const std::string& lines)>& take);

}  // namespace lockstep::launch
