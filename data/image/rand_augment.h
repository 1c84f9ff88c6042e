// RandAugment (Cubuk et al. 2020) with torchvision's operations and strengths.
#pragma once

#include <cstdint>
#include <span>

#include "base/philox.h"
#include "data/data.pb.h"
#include "data/image/image.h"

namespace lockstep::data {

enum class PictureOp {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColor,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize,
};
inline constexpr int kPictureOps = 14;

/// `magnitude` is 0 to 30; `negative` turns round what has two directions. Pixels from outside are black, and the
/// nearest pixel is taken where places lie between some.
void ApplyOp(PictureOp op, uint32_t magnitude, bool negative, Image& image);

/// Operations drawn from all, one after the other.
void AugmentAtRandom(const RandAugment& config, const RandomStream& stream, Image& image);

/// Throws Error(kUsage) where a value is out of range.
void CheckRandAugment(const RandAugment& config);

}  // namespace lockstep::data
