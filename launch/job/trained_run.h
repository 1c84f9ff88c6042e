// Opens what a run has trained, to answer with it: its model on this host's cores, and of its data what inputs are read
// with and outputs are written in.
#pragma once

#include <memory>
#include <string>

#include "data/audio/open_speech.h"
#include "data/text/tokenizers/tokenizer.h"
#include "launch/recipe/recipe.h"
#include "trainer/infer/predictor.h"
#include "trainer/infer/text_generator.h"
#include "trainer/infer/trained_model.h"
#include "trainer/infer/transcriber.h"
#include "trainer/infer/translator.h"
#include "trainer/models/models.h"

namespace lockstep::launch {

/// Which of `tokenizer` and `speech` there is hangs on what the run was trained on.
struct TrainedRun {
  Recipe recipe;
  models::DataShape shape;
  std::shared_ptr<const data::Tokenizer> tokenizer;  ///< of models that read or write tokens
  data::SpeechOptions speech;                        ///< of models of speech
  std::unique_ptr<const infer::TrainedModel> model;

  bool Transcribes() const { return shape.speech(); }
  bool Translates() const { return shape.pairs(); }
  bool WritesOn() const { return recipe.model().has_gpt(); }
  /// Whether it answers rows of tables, or images, with a class or values.
  bool Predicts() const { return !Detects() && !Transcribes() && !Translates() && shape.input != "tokens"; }
  bool Detects() const { return shape.boxes; }
};

/// What a run's recipe and data say of its model, without weights: `model` stays empty.
TrainedRun DescribeRun(Recipe recipe);

/// Whether `path` is what `lockstep import` writes: a recipe beside weights that no run has trained yet.
bool IsImported(const std::string& path);

/// `path`: a run's folder (its newest good checkpoint), a checkpoint, or a folder that `lockstep import` has written.
/// Weights are those that evaluations mean.
/// Throws Error(kCheckpoint) where there is none or it is damaged. Prepares the calling thread to compute; others that
/// answer call PrepareComputeThread(1, ...) themselves.
TrainedRun OpenTrainedRun(const std::string& path);

/// What answers with `run`, which outlives it. REQUIRES: run.Transcribes(), run.Translates(), run.WritesOn().
infer::Transcriber MakeTranscriber(const TrainedRun& run, const infer::Transcriber::Options& options);
infer::Translator MakeTranslator(const TrainedRun& run, int beam);
infer::TextGenerator MakeTextGenerator(const TrainedRun& run);

/// How outputs become answers. REQUIRES: run.Predicts().
infer::AnswerForm AnswerFormOf(const TrainedRun& run);

}  // namespace lockstep::launch
