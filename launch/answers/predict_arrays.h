// Answers of a model to rows of NumPy's arrays.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/answers/predict_rows.h"

namespace lockstep::launch {

/// Whether the path names an array: x.npy, data.npz:x, data.npz.
bool IsArrayPath(const std::string& path);

/// As PredictRows, of arrays that look like those that the run was trained on: one line for each row. Throws
/// Error(kData) where they look otherwise. REQUIRES: run.Predicts(), and that it was trained on arrays.
void PredictArrays(const TrainedRun& run, const RowsOptions& options,
                   const std::function<void(const std::string& lines)>& take);

}  // namespace lockstep::launch
