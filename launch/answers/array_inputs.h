// NumPy's arrays that a trained run is to answer, as samples.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/memory_dataset.h"
#include "launch/job/trained_run.h"

namespace lockstep::launch {

/// Whether the path names an array: x.npy, data.npz:x, data.npz; NAME= may stand in front of it.
bool IsArrayPath(const std::string& path);

/// Of a model with one input the samples of each file, with several those of NAME=FILE for each input. Throws
/// Error(kUsage) where an input has no file, Error(kData) where samples look other than those that the run was trained
/// on. REQUIRES: run.Predicts(), and that it was trained on arrays.
std::vector<std::unique_ptr<const data::MemoryDataset>> OpenArrayInputs(const TrainedRun& run,
                                                                        std::span<const std::string> inputs);

}  // namespace lockstep::launch
