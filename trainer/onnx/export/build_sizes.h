// A model at the sizes from which its export learns what varies.
#pragma once

#include "trainer/models/models.h"
#include "trainer/onnx/export/model_sizes.h"

namespace lockstep::onnx {

/// The model for inference, with the variations "batch"; where samples differ in length, and of a gpt, "time" too; of
/// pairs of sentences "source_time", and "time" of the target. A gpt takes any number of tokens up to its context, and
/// up to the data's block where none is given.
ModelSizes BuildSizes(const models::ModelConfig& model, const models::DataShape& data);

}  // namespace lockstep::onnx
