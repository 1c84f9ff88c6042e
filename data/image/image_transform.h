// Images and features become f32 and are normalised; images are changed at random: cut and resized, their colours, then
// shifted and mirrored. Labels and targets pass.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/image/augment.h"
#include "data/transform.h"

namespace lockstep::data {

/// For samples with `fields`, of which the first is "image" or "features". A value x of channel c (of features: column
/// c) becomes (x * scale - mean[c]) / deviation[c], computed in f32 in this order. Augmentation then draws from the
/// stream (seed, epoch, sample id). Throws Error(kUsage) as MakeTransform.
std::unique_ptr<Transform> MakeImageTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed);

/// Of `channels` channels of values of that type: as above. Throws Error(kUsage) naming the field.
Normalizer MakeNormalizer(const Normalize& config, DType dtype, size_t channels);

}  // namespace lockstep::data
