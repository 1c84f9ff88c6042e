// Encoded pictures become f32 [height, width, channels]: decoded, cut, resized, and then changed and normalised as
// pictures in memory are (image_transform.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// For samples whose first fields are "encoded" u8 [-1], a file's bytes (decode_image.h), and "name" u8 [-1], what
/// errors call it. A picture of the wanted size passes as it is, but in training with random_resized_crop. Where a part
/// is at least twice as large as wanted, JPEG is decoded at a fraction of its size. Apply throws Error(kData) naming
/// the file where it can't be decoded. Throws Error(kUsage) as MakeTransform.
std::unique_ptr<Transform> MakePictureTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed);

}  // namespace lockstep::data
