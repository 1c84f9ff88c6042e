// A trained run as it answers: its recipe, and its model in memory, on this host's cores. Of the training data it needs
// only what tokens or letters come from.
#pragma once

#include <memory>
#include <string>

#include "base/memory.h"
#include "data/audio/open_speech.h"
#include "data/text/tokenizer.h"
#include "launch/recipe/recipe.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/infer/decoder.h"
#include "trainer/infer/inference_program.h"
#include "trainer/models/models.h"

namespace lockstep::launch {

class TrainedRun {
 public:
  /// `path`: a run's folder (its newest good checkpoint) or a checkpoint. Weights are those that evaluations mean.
  /// Throws Error(kCheckpoint) where there is none or it is damaged, Error(kUsage) for models that neither write text
  /// nor transcribe.
  explicit TrainedRun(const std::string& path);

  const Recipe& recipe() const { return recipe_; }
  const models::DataShape& shape() const { return shape_; }
  /// Of models that read or write tokens.
  const std::shared_ptr<const data::Tokenizer>& tokenizer() const { return tokenizer_; }
  /// Of models of speech.
  const data::SpeechOptions& speech() const { return speech_; }
  /// Valid as long as this.
  infer::Weights weights() const { return {*layout_, *backend_, arena_.As<float>().data()}; }

 private:
  models::DataShape ShapeOf();

  Recipe recipe_;
  std::shared_ptr<const data::Tokenizer> tokenizer_;
  data::SpeechOptions speech_;
  models::DataShape shape_;
  std::unique_ptr<engine::ParameterLayout> layout_;
  std::shared_ptr<engine::Backend> backend_;
  Buffer arena_;
};

}  // namespace lockstep::launch
