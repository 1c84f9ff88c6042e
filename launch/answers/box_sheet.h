// A few pictures of a data set with their boxes, on one sheet: what people should look at before they train.
#pragma once

#include "data/dataset.h"
#include "data/image/image.h"

namespace lockstep::launch {

/// Up to 16 pictures from all over `samples`, four in a row, each at most 320 pixels wide and high, with the names of
/// their boxes' classes; those of crowds are grey. Throws Error(kData) where one can't be decoded. REQUIRES: samples
/// have the fields of data/boxes/boxed_pictures.h.
data::Image DrawBoxSheet(const data::Dataset& samples);

}  // namespace lockstep::launch
