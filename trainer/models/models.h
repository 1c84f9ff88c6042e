// The model families: from configuration and the data's shape to a forward graph.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/graph/builder.h"
#include "trainer/graph/step_shape.h"
#include "trainer/models/data_shape.h"
#include "trainer/models/model.pb.h"

namespace lockstep::models {

/// Pixels from one cell to the next of the map on which a detector finds boxes.
uint32_t DetectorStride(const Detector& config);

/// Throws Error(kUsage) naming the field ("model.resnet.depth: ..."), also for models that don't fit the data.
void Validate(const ModelConfig& config, const DataShape& data);

/// The forward graph with losses and counters (kTrain, kEvaluate), and the output "logits" (kEvaluate, kInfer) or
/// "prediction" (all modes).
/// `positions`: of dimensions that vary. Parameters are the same, in the same order, in every mode and shape.
graph::Model Build(const ModelConfig& config, const DataShape& data, graph::Mode mode, int64_t rows,
                   int64_t positions = 0);

/// The graph of one step of a gpt, or of a seq2seq's decoder: inputs "tokens" i32 [rows, tokens], "first" and
/// "length" i32 [rows] (positions before, and with, these tokens), of a decoder "source_length"; output "logits" [rows,
/// tokens, vocabulary]. What it remembers are the graph's states.
graph::Model BuildStep(const ModelConfig& config, const DataShape& data, const graph::StepShape& shape);
/// The graph that reads a seq2seq's source, inputs "source" i32 [rows, positions] and "source_length" i32 [rows]: its
/// outputs are states of the step's graph.
graph::Model BuildEncoding(const ModelConfig& config, const DataShape& data, int64_t rows, int64_t positions);

}  // namespace lockstep::models
