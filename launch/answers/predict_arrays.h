// Answers of a model to rows of NumPy's arrays.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/answers/array_inputs.h"
#include "launch/answers/predict_rows.h"

namespace lockstep::launch {

/// As PredictRows, of arrays that look like those that the run was trained on (OpenArrayInputs): one line for each row.
/// REQUIRES: run.Predicts(), and that it was trained on arrays.
void PredictArrays(const TrainedRun& run, const RowsOptions& options,
                   const std::function<void(const std::string& lines)>& take);

struct ArrayAnswersOptions {
  std::vector<std::string> inputs;
  bool probabilities = false;  ///< of logits their softmax along the last dimension
  int threads = 1;
};
/// A file of NumPy's format (.npy).
struct ArrayFile {
  std::string name;  ///< of the model's output: "logits", "prediction", or as its graph calls it
  std::string bytes;
};

/// Each output [samples, ...] of the model, f32 (classes and ids i32): logits, values in the targets' own unit, and
/// what a graph puts out besides. Throws as PredictArrays.
std::vector<ArrayFile> PredictArrayFiles(const TrainedRun& run, const ArrayAnswersOptions& options);

}  // namespace lockstep::launch
