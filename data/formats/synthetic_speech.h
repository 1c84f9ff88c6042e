// Random transcribed recordings of one length, as a CTC model reads them: for benchmarks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/data.pb.h"
#include "data/dataset.h"

namespace lockstep::data {

/// Samples of the transform's fields (audio/speech_transform.h): "features" f32 [frames, values] of deviation 1,
/// "length" i32 [], "label" i32 [frames] (the letters, then -1), "label_length" i32 []. Neighbouring letters differ, so
/// that all transcripts of at most `frames` letters can be aligned. Throws Error(kUsage) naming `field` for what is out
/// of range.
std::unique_ptr<Dataset> MakeSyntheticSpeech(const Synthetic& config, const std::string& field, uint64_t seed);

}  // namespace lockstep::data
