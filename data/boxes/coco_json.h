// COCO's annotations of objects (https://cocodataset.org/#format-data): one JSON file with images, annotations and
// categories.
//
// It is read value by value and never in memory as a whole; segments, captions and key points are skipped. A "bbox" is
// x, y, width, height.
#pragma once

#include <cstddef>
#include <span>

#include "data/boxes/box_data.h"
#include "data/origin.h"

namespace lockstep::data {

/// Categories are in the order of their ids, which may have gaps; images in the order of theirs, as pycocotools goes
/// through them; an image's boxes in the order of the file. Without an "area" it is the box's, without "iscrowd" a box
/// is none. Throws Error(kData): with the byte where it is no JSON, or no UTF-8; with the annotation's, image's or
/// category's place in its list where a field is missing or of another type.
BoxData ReadCocoJson(std::span<const std::byte> json, const Origin& origin);

}  // namespace lockstep::data
