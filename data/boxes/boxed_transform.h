// Encoded pictures with boxes become f32 [height, width, channels] and what a detector is trained towards.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// For samples with the fields of boxed_pictures.h, of `categories` kinds of objects. Pictures are decoded, put where
/// BoxPlacement says, and normalised as images are (image_transform.h); then follow the targets that config.cells asks
/// for: "heat", "sides" and "inside" (center_targets.h), or "category", "sides", "centerness" and "inside"
/// (fcos_targets.h). Apply throws Error(kData) naming the file where a picture can't
/// be decoded or has another size than was said of it. Throws Error(kUsage) as MakeTransform.
std::unique_ptr<Transform> MakeBoxedTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed);

}  // namespace lockstep::data
