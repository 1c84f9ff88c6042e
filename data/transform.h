// The Transform that recipes configure: images become f32 and are normalised, shifted and mirrored; features are
// normalised; tokens, labels and targets pass.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/loader.h"

namespace lockstep::data {

/// For samples with `fields` (of a Dataset). A value x of channel c (of features: column c) becomes
/// (x * scale - mean[c]) / deviation[c], computed in f32 in this order. Augmentation then draws from the stream (seed,
/// epoch, sample id). Throws Error(kUsage) where normalize or augment don't fit the fields.
std::unique_ptr<Transform> MakeTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed);

}  // namespace lockstep::data
