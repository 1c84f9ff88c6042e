// A recipe's sources of speech.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "data/audio/alphabet.h"
#include "data/audio/recordings.h"
#include "data/data.pb.h"
#include "data/dataset.h"

namespace lockstep::data {

/// What the splits of speech have in common.
struct SpeechOptions {
  std::shared_ptr<const Alphabet> alphabet = nullptr;  ///< null where data.train is no speech
  int sample_rate = 0;                                 ///< Hz
  std::shared_ptr<ArchiveCache> archives = nullptr;
  /// Where it is set, recordings that can't be opened are told to it and left out, and the others are opened; else the
  /// first is thrown.
  std::function<void(const Error&)> on_broken = nullptr;
};

/// Reads the alphabet of `config`: its own, or the letters of the training transcripts. Throws as OpenDataset.
SpeechOptions MakeSpeechOptions(const DataConfig& config);

/// As OpenDataset, which calls it. Strings of a split that is not for `training` don't hang on `seed`.
std::unique_ptr<Dataset> OpenSpeech(const Speech& config, const std::string& field, uint64_t seed, Verify::Value verify,
                                    bool training, const SpeechOptions& options);

}  // namespace lockstep::data
