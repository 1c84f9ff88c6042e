// Which part of a picture becomes a sample: at random in training, else the middle or all of it.
#pragma once

#include <cstdint>

#include "base/philox.h"
#include "data/data.pb.h"
#include "data/image/resize.h"

namespace lockstep::data {

/// A part of a random area and shape (Szegedy et al. 2015, "Going deeper with convolutions"), with torchvision's way
/// out where none fits in ten attempts: the middle, as much of it as its ratios allow. Edges are whole pixels.
ImageBox DrawCrop(const RandomResizedCrop& config, const RandomStream& stream, int64_t height, int64_t width);

/// The middle of a picture: the greatest part with the ratio of wanted_width to wanted_height, and `share` of its
/// height and width.
ImageBox MiddleOf(int64_t height, int64_t width, int64_t wanted_height, int64_t wanted_width, double share);

/// Throws Error(kUsage) where a value is out of range.
void CheckCrop(const RandomResizedCrop& config);

}  // namespace lockstep::data
