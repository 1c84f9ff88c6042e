// Changes of a picture's colours, with the arithmetic that torchvision has for tensors of bytes: f32, cut off to whole
// numbers. Grey pictures have no saturation and no hue, and stay as they are there.
#pragma once

#include "base/philox.h"
#include "data/data.pb.h"
#include "data/image/image.h"

namespace lockstep::data {

/// Factor 0 is black, 1 the picture as it is.
void AdjustBrightness(double factor, Image& image);
/// Factor 0 is its mean grey everywhere.
void AdjustContrast(double factor, Image& image);
/// Factor 0 is grey.
void AdjustSaturation(double factor, Image& image);
/// Turns hues by `turn` of a circle, -0.5 to 0.5.
void AdjustHue(double turn, Image& image);
/// Factor 0 is blurred over 3x3 pixels, 2 sharper than it is. Pixels at the edges stay.
void AdjustSharpness(double factor, Image& image);

/// All four in a random order, by random factors.
void JitterColors(const ColorJitter& config, const RandomStream& stream, Image& image);

/// Throws Error(kUsage) where a value is out of range.
void CheckColorJitter(const ColorJitter& config);

}  // namespace lockstep::data
