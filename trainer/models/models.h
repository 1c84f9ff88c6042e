// The model families: from configuration and the data's shape to a forward graph.
#pragma once

#include <cstdint>
#include <string>

#include "base/shape.h"
#include "trainer/graph/builder.h"
#include "trainer/models/model.pb.h"

namespace lockstep::models {

/// What the data says about the model's ends.
struct DataShape {
  std::string input;  ///< name of the input field: "image", "features" or "tokens"
  Shape sample;       ///< of one sample: [height, width, channels], [n] or [time]
  int classes = 0;    ///< of labels, tokens of the vocabulary; 0: no labels
  int targets = 0;    ///< width of "target"; 0: none
};

/// Throws Error(kUsage) naming the field ("model.resnet.depth: ..."), also for models that don't fit the data.
void Validate(const ModelConfig& config, const DataShape& data);

/// The forward graph with losses and counters (kTrain, kEvaluate) or the output "logits" or "prediction" (all modes).
/// `places`: of dimensions that vary. Parameters are the same, in the same order, in every mode and shape.
graph::Model Build(const ModelConfig& config, const DataShape& data, graph::Mode mode, int64_t rows,
                   int64_t places = 0);

}  // namespace lockstep::models
