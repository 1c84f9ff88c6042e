// Recordings with transcripts as samples: one a sample, or strings of several.
//
// Fields: "audio" f32 [-1], the sample's recordings at one sample rate, one behind the other; "part" i32 [-1], how many
// samples of audio each has; "label" i32 [-1], the transcript in the alphabet's classes. (Their dimensions of -1 differ
// from each other.)
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/audio/alphabet.h"
#include "data/audio/recordings.h"
#include "data/audio/string_plan.h"
#include "data/dataset.h"

namespace lockstep::data {

/// A recording and what is said in it.
struct Utterance {
  Recording recording;
  std::string transcript;
  std::string speaker;
};

/// Throws Error(kData) where the transcript has a character that is no letter of `alphabet`.
void RequireLetters(const Utterance& utterance, const Alphabet& alphabet);

struct SpeechDatasetOptions {
  std::shared_ptr<const Alphabet> alphabet;
  int sample_rate = 0;                         ///< Hz, that of all recordings' lengths
  std::optional<StringPlanOptions> join = {};  ///< nothing: each recording is a sample
  FingerprintOptions fingerprint = {};
};

/// Samples in the order of `utterances`; of strings, speaker by speaker in the order of their first utterances. Throws
/// Error(kUsage) where strings of several words need a space that the alphabet lacks. REQUIRES: transcripts are made of
/// its letters, and there is one.
std::unique_ptr<Dataset> MakeSpeechDataset(std::vector<Utterance> utterances, const SpeechDatasetOptions& options);

}  // namespace lockstep::data
