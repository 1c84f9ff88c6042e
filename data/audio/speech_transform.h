// From recordings (speech_dataset.h) to the inputs of a CTC model.
//
// Fields: "features" f32 [-1, stack * mels] (features.h); "length" i32 [], its real time steps; "label" i32 [-1], the
// transcript's classes, padded with -1; "label_length" i32 [], how many they are. A transcript that is longer than the
// row is cut there, with its real length beside it: nothing aligns it anyway.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// For samples with `fields`. Throws Error(kUsage) as MakeTransform.
std::unique_ptr<Transform> MakeSpeechTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed);

}  // namespace lockstep::data
