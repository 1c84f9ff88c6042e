// The transform that a recipe configures: images become f32 and are normalised, shifted and mirrored; features are
// normalised (image/image_transform.h); recordings become features (audio/speech_transform.h); pairs of sentences are
// put into rows (text/sentences/parallel_transform.h); tokens, labels and targets pass.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// For samples with `fields` (of a Dataset). Random changes are drawn from the stream (seed, epoch, sample id). Throws
/// Error(kUsage) where normalize or augment don't fit the fields.
std::unique_ptr<Transform> MakeTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed);

/// For samples of which answers are not known: without what training alone needs (augmentation, weights of classes,
/// means of targets).
DataConfig ForAnswers(DataConfig config);

}  // namespace lockstep::data
