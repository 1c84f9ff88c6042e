// Transcripts of recordings, by a trained model of speech (CTC).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/audio/open_speech.h"
#include "data/data.pb.h"
#include "data/transform.h"
#include "trainer/infer/trained_model.h"

namespace lockstep::infer {

struct Transcript {
  std::string text;
  double score = 0;             ///< log probability, of the likeliest path alone where the beam is 1
  std::vector<int32_t> labels;  ///< the text's letters, as classes of the alphabet
};

/// Answers one recording at a time and keeps the program of each length that has come up (lengths are few:
/// data/batches/length_classes.h). An Error that a recording causes concerns it alone: the next call is as good as any.
///
/// One thread at a time, which has called PrepareComputeThread.
class Transcriber {
 public:
  struct Options {
    int beam = 1;  ///< prefixes that the search keeps; 1: the likeliest letter at each time step
  };
  /// `config` and `speech` are those that the model was trained with. `model` outlives this.
  Transcriber(const TrainedModel& model, const data::DataConfig& config, const data::SpeechOptions& speech,
              const Options& options);

  int sample_rate() const { return speech_.sample_rate; }  ///< Hz
  /// A file on disk or a member of an archive, as manifests name them ("hello.wav", "digits.tar.gz:7.wav"). Throws
  /// Error(kData) naming it.
  Transcript TranscribeFile(const std::string& path);
  /// The bytes of such a file, of any sample rate. Throws Error(kData), without a place.
  Transcript TranscribeBytes(std::span<const std::byte> file);
  /// Mono samples at sample_rate(), 1 at full scale.
  Transcript TranscribeSamples(std::span<const float> samples);

 private:
  InferenceProgram& ProgramFor(int64_t steps);

  const TrainedModel& model_;
  const data::SpeechOptions speech_;
  const Options options_;
  const std::unique_ptr<data::Transform> transform_;
  std::map<int64_t, std::unique_ptr<InferenceProgram>> programs_;  ///< by time steps
};

}  // namespace lockstep::infer
