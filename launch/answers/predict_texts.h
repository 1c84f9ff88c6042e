// Answers of models that write: transcripts of recordings, and translations of sentences.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/answers/answer_writer.h"
#include "launch/job/trained_run.h"

namespace lockstep::launch {

struct TextsOptions {
  /// Audio files (members of archives as ARCHIVE.tar:MEMBER); of translations files of a sentence a line, or "-":
  /// standard input, answered line by line.
  std::vector<std::string> inputs;
  std::vector<std::string> sentences = {};  ///< to be translated before what is in the inputs
  AnswerFormat format = AnswerFormat::kText;
  int beam = 0;  ///< 0: 5 for translations, 1 for transcripts
};

/// Both hand lines to `take` as soon as they are there, and throw Error(kData) where an input can't be read.
/// REQUIRES: run.Transcribes().
void PredictTranscripts(const TrainedRun& run, const TextsOptions& options,
                        const std::function<void(const std::string& lines)>& take);
/// Warns of inputs that are foreign to the vocabulary. REQUIRES: run.Translates().
void PredictTranslations(const TrainedRun& run, const TextsOptions& options,
                         const std::function<void(const std::string& lines)>& take);

}  // namespace lockstep::launch
