// All that a trained model puts out of rows of tables, images and named fields, as arrays.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/shape.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "trainer/infer/trained_model.h"

namespace lockstep::infer {

/// Output `name` of every sample.
struct OutputArray {
  std::string name;
  Shape shape;  ///< [samples, ...]
  DType dtype = DType::kF32;
  std::vector<std::byte> values;  ///< row-major
};

/// Those of the graph, by their names, computed by `threads` threads: the same at any number of them. Throws
/// Error(kUsage) where an output has not a row for each sample.
std::vector<OutputArray> PredictOutputs(const TrainedModel& model,
                                        const std::shared_ptr<const data::Transform>& transform,
                                        const data::Dataset& samples, int threads);

}  // namespace lockstep::infer
