// From a recipe to a Job: opens the data, fits the model to them, starts the backend.
#pragma once

#include <string>

#include "comm/communicator.h"
#include "launch/recipe/recipe.h"
#include "trainer/infer/decoder.h"
#include "trainer/infer/detector.h"
#include "trainer/infer/predictor.h"
#include "trainer/models/models.h"
#include "trainer/run/job.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::launch {

/// What the model's ends must look like, from the training data's transformed fields.
models::DataShape DataShapeOf(const plan::Splits& splits);

/// How graphs of a model that writes (gpt, seq2seq) are built.
infer::DecoderModel DecoderModelOf(const models::ModelConfig& model, const models::DataShape& shape);

/// How a model's outputs become answers, in the targets' own unit. REQUIRES: `data` is settled.
infer::AnswerForm AnswerFormOf(const data::DataConfig& data, const models::DataShape& shape);

/// How a detector's outputs become boxes. REQUIRES: the model is one.
infer::DetectorForm DetectorFormOf(const Recipe& recipe, const models::DataShape& shape);

/// The job of a resolved recipe. Throws Error for everything that can be wrong before ranks meet.
run::Job MakeJob(const Recipe& recipe, comm::Communicator& comm, std::shared_ptr<step::DeviceKit> device = nullptr);

}  // namespace lockstep::launch
